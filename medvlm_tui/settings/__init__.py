"""Where the values of options come from: defaults, settings file, environment, command line."""
