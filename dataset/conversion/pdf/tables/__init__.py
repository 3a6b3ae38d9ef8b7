"""Finds the tables on the pages of a PDF."""
