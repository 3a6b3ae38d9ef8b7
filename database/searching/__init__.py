"""One search: a question in, passages out."""
