"""Records, keys, events, the plan and the store, used by all rooms. Imports no science library and no screen."""
