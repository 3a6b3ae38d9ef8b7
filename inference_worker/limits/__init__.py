"""How much each client, and all together, may use: requests, model calls, tokens."""
