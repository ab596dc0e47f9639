"""The catalog as data: models, datasets and published results, with a typed reader for each."""
