"""The dialogs for models: choosing, downloading, load options, memory use, and solutions when memory runs out."""
