"""Question in, answer out: the REST service."""
