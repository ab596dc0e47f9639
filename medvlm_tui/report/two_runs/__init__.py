"""Two runs, read back from the folders that they wrote: what differs between them."""
