"""What everything shares: records, keys, events, the plan, the store. Imports no science library and no screen."""
