"""Functions of feature tables that several analyses use."""
