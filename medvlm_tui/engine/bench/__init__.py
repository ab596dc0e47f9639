"""The bench of experiments on images: encode them as changed, compare with them as they are."""
