"""Adapts an embedding model to a folder of documents: python -m database.adapt -d FOLDER."""
