"""Checks that a collection can be read and searched."""
