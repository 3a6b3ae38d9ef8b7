"""Markdown: its syntax, the one reader, and the one writer."""
