"""The data check: counts, unreadable files, duplicates, leakage between parts."""
