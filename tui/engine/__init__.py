"""What makes replies. Nothing here imports Textual, and importing it loads neither torch nor transformers."""
