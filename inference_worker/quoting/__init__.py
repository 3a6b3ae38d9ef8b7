"""The answer where no language model writes one."""
