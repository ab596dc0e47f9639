"""Images: decoding foreign files, windows, framing, preprocessing."""
