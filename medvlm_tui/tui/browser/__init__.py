"""The screens in a browser on this machine, by textual-serve."""
