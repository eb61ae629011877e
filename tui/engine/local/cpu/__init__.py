"""CPU kernels: linear layers, attention, and norms chosen by speed on load, verified, and removable."""
