"""OpenAI's API, for the clients that speak it."""
