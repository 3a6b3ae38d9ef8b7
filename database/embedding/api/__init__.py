"""Embedding models behind a provider's API."""
