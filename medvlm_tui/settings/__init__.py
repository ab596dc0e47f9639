"""The values of options, from defaults, settings file, environment and command line."""
