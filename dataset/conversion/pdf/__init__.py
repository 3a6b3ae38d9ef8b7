"""PDF as markdown."""
