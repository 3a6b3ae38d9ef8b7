"""The check of an answer against its passages, in plain code."""
