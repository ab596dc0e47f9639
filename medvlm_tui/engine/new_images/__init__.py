"""Images outside any dataset: encoded, or placed on a stored map."""
