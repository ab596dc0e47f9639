"""What a run leaves behind: tables, figures, the manifest. No textual, no torch."""
