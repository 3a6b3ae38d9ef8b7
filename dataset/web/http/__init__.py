"""A polite HTTP client for untrusted hosts."""
