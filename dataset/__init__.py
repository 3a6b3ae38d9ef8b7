"""Documents in, chunks out: fetch, load, split."""
