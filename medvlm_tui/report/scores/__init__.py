"""The score tables: the paper's form, CSV, Markdown, supplement."""
