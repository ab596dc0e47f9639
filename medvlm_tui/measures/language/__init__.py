"""Pure functions of image and text vectors: zero-shot scores, geometry of classes, retrieval."""
