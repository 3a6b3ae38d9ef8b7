"""Chunks in, passages out: the index is embedded, stored and searched here."""
