"""Keys: which there are, what each allows, and the command that creates and revokes them."""
