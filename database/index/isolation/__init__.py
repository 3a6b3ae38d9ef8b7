"""An embedded store in a process of its own."""
