"""Pure functions of image and text vectors: zero-shot scores, the gap between modalities, geometry, retrieval."""
