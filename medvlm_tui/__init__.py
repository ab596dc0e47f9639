"""medvlm-tui: which medical image encoder to trust, and what it looks at."""

__version__ = "0.1.0"
