"""Headless runs: `medvlm-tui --batch`."""
