"""The saliency screen."""
