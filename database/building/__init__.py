"""The build flow: a folder of documents in, a live index out."""
