"""The report of a run: tables, figures, the manifest. No textual, no torch."""
