"""Attacks on the service, and faults around it, that anyone can repeat: `make attack`."""
