"""One model of a table, and its forms: CSV, LaTeX, Markdown."""
