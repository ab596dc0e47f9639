"""Places of weights on this machine, and the download of missing ones."""
