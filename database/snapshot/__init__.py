"""Snapshots of an index: pushed to a folder or an object store, pulled by other machines.

A snapshot is a logical export, not a copy of the database's files. Each is a folder of its own:

    20261123T031500Z-1a2b3c4d5e6f/
        part-00000-0f1e2d3c4b5a6978.zst     rows; named by number and content
        part-00001-...zst
        manifest.json                       written last: a folder without it is no snapshot
    snapshots.json                          the folders' names, for stores that cannot be listed

A part is a zstd-compressed file of JSON lines, about 24 MiB before compression, one per row:

    {"id": "...", "metadata": {...}, "text": "...", "vector": "base64 of little-endian float32"}

Its rows belong to one collection: the live `index`, its `words`, or the `uploads`, which are the
documents added through the API. Rows are in the store's order and their fields sorted by name, so
the same index gives the same parts, and an interrupted push sends only the missing ones.
manifest.json lists every part with its number of rows, sizes and SHA-256.
"""
