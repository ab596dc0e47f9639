"""The preprocessing lab's tables and figures."""
