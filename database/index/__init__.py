"""The Chroma index: its store, rows, fingerprint, lock, and which collection is live."""
