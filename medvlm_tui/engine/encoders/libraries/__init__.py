"""Encoders whose network comes from a library: open_clip, timm, torchvision, transformers."""
