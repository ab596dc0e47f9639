"""Texts to token ids, one module for each kind of tokenizer."""
