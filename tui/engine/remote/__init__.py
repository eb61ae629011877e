"""Servers as engines: what speaks the chat completions of OpenAI or the native interface of Ollama over HTTP."""
