"""The endurance run: hours of searches, changes, builds and kills, and a checker."""
