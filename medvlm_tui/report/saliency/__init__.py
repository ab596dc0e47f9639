"""Tables and figures of saliency."""
