"""Base classes, dialogs, rows and bars that several screens use."""
