"""The Hugging Face Hub: asking it, downloading from it, and its cache on this machine. Each word of a server is checked in `values`."""
