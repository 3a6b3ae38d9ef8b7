"""Rewrites Word files so that mammoth reads what Word shows."""
