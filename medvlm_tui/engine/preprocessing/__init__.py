"""The preprocessing lab: changes between a file and the model's input, and what they do (docs/preprocessing.md)."""
