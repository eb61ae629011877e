"""Engines that generate replies. Nothing here imports Textual, and importing this package loads neither torch nor transformers."""
