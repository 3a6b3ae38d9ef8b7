"""Generation: the prompt, the language model's providers, and the limits on calls."""
