"""What the screens know: events of the engine, rows of the survey, the store's results, the selection."""
