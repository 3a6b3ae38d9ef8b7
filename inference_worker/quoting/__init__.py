"""Answers without a language model: the passages' best sentences, quoted."""
