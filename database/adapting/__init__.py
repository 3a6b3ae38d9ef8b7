"""Adapts an embedding model to a folder of documents: python -m database.adapting -d FOLDER."""
