"""The work: reading images, encoding, projecting, probing, explaining. Knows no screen and no report."""
