"""What a run has: results of the store as the report reads them, and their names."""
