"""Measurements that anyone can repeat: `python -m benchmarks` runs all, `python -m benchmarks sessions` one."""
