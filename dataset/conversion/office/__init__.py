"""Converts Word, PowerPoint and Excel files to markdown."""
