"""Brings the dialects of markdown, and the HTML within it, to plain CommonMark."""
