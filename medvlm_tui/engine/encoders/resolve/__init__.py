"""From a model's name on the command line to its spec."""
