"""Background: squares over lesions and elsewhere, and what a classifier still knows (docs/background.md)."""
