"""The sources of the documents: API reference, Developer Guide, and where each folder is from."""
