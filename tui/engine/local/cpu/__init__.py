"""Kernels of a CPU: linear layers, attention and norms that were the fastest at load, checked, and taken out again when asked to."""
