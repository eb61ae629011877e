"""GGUF models in llama.cpp, as the package xllamacpp holds it; in a process of its own."""
