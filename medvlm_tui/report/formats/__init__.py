"""Forms of a table: CSV, LaTeX, plain text."""
