"""The system under test: its processes, the HTTP client, and the embedding models."""
