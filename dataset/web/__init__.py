"""Pages of the web as documents: found by lists, fetched politely, kept current."""
