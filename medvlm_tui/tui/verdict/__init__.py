"""Which models are not separated from the best on each dataset, and a card for each with what it rests on."""
