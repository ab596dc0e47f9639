"""One reader for each published layout, and readers for class folders, lists and DICOM tags."""
