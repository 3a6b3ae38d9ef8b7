"""Converts files to markdown; parsers run in a sandboxed child process."""
