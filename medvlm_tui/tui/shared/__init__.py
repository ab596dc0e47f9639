"""What the screens share: base classes, dialogs, rows, bars."""
