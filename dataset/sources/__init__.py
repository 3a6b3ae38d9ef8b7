"""Where documents are fetched from, and what each folder of documents is."""
