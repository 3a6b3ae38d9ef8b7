"""The reader that follows the live index, and its LangChain adapters."""
