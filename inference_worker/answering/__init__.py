"""The answer flow, its cache and follow-up questions."""
