"""Statements about several models at once, from what each did on the same images."""
