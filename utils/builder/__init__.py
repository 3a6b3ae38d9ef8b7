"""The parts of the build command."""
