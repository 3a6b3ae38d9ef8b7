"""The language model: what it is told, and how it is called."""
