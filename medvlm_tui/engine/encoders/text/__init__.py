"""Text towers: tokenizers, networks, and the vectors of texts in the space that they share with images."""
