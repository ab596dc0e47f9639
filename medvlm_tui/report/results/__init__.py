"""The results of a run as the report reads them from the store, and their names."""
