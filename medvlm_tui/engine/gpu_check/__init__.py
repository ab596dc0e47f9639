"""Tests of a GPU: what `medvlm-tui doctor --gpu` and benchmarks/gpu.py run."""
