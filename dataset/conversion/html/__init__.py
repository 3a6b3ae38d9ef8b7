"""Converts HTML to markdown."""
