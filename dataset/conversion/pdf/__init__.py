"""Converts PDF to markdown."""
