"""Where weights lie on this machine, and how missing ones are fetched."""
