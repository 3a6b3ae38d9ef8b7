"""The documents of the index over HTTP: list, read, add, replace, delete."""
