"""The parameters of Chroma's search graph (HNSW), which is approximate.

Measured with all-MiniLM-L6-v2 over 20,959 chunks of the SageMaker documentation and 240 questions;
neighbours per node (M), candidates while building and while searching:

| M, building, searching | recall@250 | lowest | below 0.9 | build | search  |
| ---------------------- | ---------- | ------ | --------- | ----- | ------- |
| 16, 100, 100 (default) | 0.927      | 0.300  | 50        | 17 s  | 2.4 ms  |
| 16, 100, 500           | 0.976      | 0.312  | 5         | 16 s  | 2.9 ms  |
| 32, 200, 500           | 0.991      | 0.872  | 1         | 18 s  | 3.8 ms  |
| 48, 400, 500           | 0.995      | 0.888  | 1         | 30 s  | 5.9 ms  |

Up to MAX_EXACT_CHUNKS, readers compare all vectors in memory instead.
"""

from typing import Any

MAX_EXACT_CHUNKS = 100_000
"""At 384 dimensions, comparing all takes 0.8 ms and 19 MB for 12,600 chunks, and 12 ms and 154 MB
for 100,000 (numpy, one thread)."""


def graph_parameters(chunks: int) -> dict[str, Any]:
    """Chroma's settings of the graph of an index; the defaults if readers do not search it."""
    if chunks <= MAX_EXACT_CHUNKS:
        return {}
    return {"max_neighbors": 48, "ef_construction": 400, "ef_search": 800}
