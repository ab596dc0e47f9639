"""Checkpoints read safely and in part: safetensors, torch archives, digests of tensors."""
