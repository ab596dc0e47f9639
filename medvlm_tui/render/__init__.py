"""Arrays drawn as terminal text. No textual, no torch."""
