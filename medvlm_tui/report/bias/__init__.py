"""The bias lab's tables and figures."""
