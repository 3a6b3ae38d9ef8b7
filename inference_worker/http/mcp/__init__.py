"""The Model Context Protocol, for agents."""
