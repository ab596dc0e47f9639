"""Tables of zero-shot and alignment: zero_shot.csv, prompts.csv, alignment.csv, reading.csv."""
