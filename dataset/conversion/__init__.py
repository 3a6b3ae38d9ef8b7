"""Turns a file's bytes into markdown; what takes a parser happens in a process of its own."""
