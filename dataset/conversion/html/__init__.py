"""HTML as markdown."""
