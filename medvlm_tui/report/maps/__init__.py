"""Tables and figures of maps, separability and similarity."""
