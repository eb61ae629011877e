"""Syntax highlighting that can't stop the app: Pygments' lexers run in a process that can be killed.

Knows neither widgets nor styles: code comes in, the kinds of its tokens go out. Nothing is imported here, since the
process runs `lexing` as a file of its own.
"""
