"""The HTTP server's limits: connections, headers, and the time that clients may take."""
