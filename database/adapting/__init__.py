"""Fine-tunes an embedding model on a folder of documents: python -m database.adapting -d FOLDER."""
