"""A run: names to inputs, inputs to a plan, the plan to results."""
