"""Measures and tests as pure functions of arrays (numpy and scipy only), for the engine, the report and the screens."""
