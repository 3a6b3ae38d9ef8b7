"""Measures retrieval with labelled questions: python -m utils.evaluation."""
