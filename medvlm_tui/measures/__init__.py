"""Pure functions of arrays: scores, tests, intervals. Numpy and scipy only; no store, no job, no event, no torch."""
