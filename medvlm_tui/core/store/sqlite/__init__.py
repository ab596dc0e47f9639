"""The journal on a local disk: diskcache's SQLite index behind our own value files."""
