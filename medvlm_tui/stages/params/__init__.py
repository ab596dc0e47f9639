"""What may be asked of each analysis: one record of parameters for each, whose fields are the options of a run."""
