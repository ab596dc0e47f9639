"""The settings: every option of a run with its value, its default, and where the value comes from."""
