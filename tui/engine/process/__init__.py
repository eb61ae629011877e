"""An engine in a process of its own: what a fault in native code takes down is the model, and not the app."""
