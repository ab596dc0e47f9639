"""Networks of text towers, one module for each family."""
