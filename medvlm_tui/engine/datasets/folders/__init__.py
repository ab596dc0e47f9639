"""Folders of images: walked, their classes and parts recognised, files passed over counted."""
