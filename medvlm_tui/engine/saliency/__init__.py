"""Saliency: RISE maps of encoder and classifier, and their quality."""
