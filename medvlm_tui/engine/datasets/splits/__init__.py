"""Hold-out and folds, stratified and by group."""
