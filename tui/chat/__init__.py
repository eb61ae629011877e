"""What the app does with a chat, without a screen: what is sent, and what the engine is asked for."""
