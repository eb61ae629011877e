"""Servers as engines: OpenAI-compatible chat completions or Ollama's native API over HTTP."""
