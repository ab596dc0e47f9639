"""The bias lab: what words burned into images do to features and decisions."""
