"""Screens arrange widgets, handle their messages, and call the sessions and the engine's worker."""
