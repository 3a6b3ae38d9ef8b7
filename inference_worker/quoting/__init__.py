"""Answers without a language model: the blocks of the passages that answer best, quoted."""
