"""The verdict: which models are not separated from the best on a dataset, and what the run says of each of them."""
