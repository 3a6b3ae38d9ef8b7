"""What every response should show, and how it is checked."""
