"""The home screen: models, datasets, what is missing, the plan."""
