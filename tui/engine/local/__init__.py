"""The engine that runs transformers in its own process. What is heavy is imported when a model is loaded."""
