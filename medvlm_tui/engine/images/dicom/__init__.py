"""DICOM: pixel values, palettes, windows and tags of foreign files."""
