"""Snapshots of an index: pushed to a folder or an object store, pulled by other machines.

A snapshot is a logical export and never a copy of the database's files. It is a folder of its own:

    20261123T031500Z-1a2b3c4d5e6f/
        part-00000-0f1e2d3c4b5a6978.zst     rows; named by number and content
        part-00001-...zst
        manifest.json                       written last: without it there is no snapshot
    snapshots.json                          the folders' names, for places that cannot be listed

A part is zstd-compressed lines of JSON, some 24 MiB of them before compression, each a row:

    {"id": "...", "metadata": {...}, "text": "...", "vector": "base64 of little-endian float32"}

Its lines are those of one collection: the live `index`, the `words` that belong to it, or the
`uploads`, documents that came through the API. Rows come in the store's order and their fields in
that of their names, so that the same index gives the same parts, and a push that was interrupted
sends only what is not there yet. manifest.json names every part with its rows, sizes and SHA-256.
"""
