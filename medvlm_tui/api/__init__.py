"""Public interface for notebooks and scripts (docs/python.md); import its names from `medvlm_tui`."""
