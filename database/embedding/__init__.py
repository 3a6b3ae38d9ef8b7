"""The embedding model: which one, where to find it, how to run it."""
