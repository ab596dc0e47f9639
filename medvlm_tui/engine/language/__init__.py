"""Zero-shot by texts, and how texts and images lie in their common space."""
