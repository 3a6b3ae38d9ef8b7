"""The journal of changes made through the documents API, and recovery of interrupted writers."""
