"""What the service writes about itself: a line for each request, and an audit log."""
