"""Screens compose widgets, listen to their messages, and call sessions and the engine's worker."""
