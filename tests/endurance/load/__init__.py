"""What is done to the system: requests, document changes, builds and kills."""
