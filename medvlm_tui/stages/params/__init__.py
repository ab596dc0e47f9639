"""Parameters of each analysis: one record for each, whose fields are the options of a run."""
