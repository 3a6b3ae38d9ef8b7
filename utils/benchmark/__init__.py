"""Measures the build and the service: python -m utils.benchmark."""
