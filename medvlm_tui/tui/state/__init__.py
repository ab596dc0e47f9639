"""State of the screens: events of the engine, rows of the survey, the store's results, the selection."""
