"""Batches of training pairs: each passage is a negative example for the other questions."""

from collections import deque
from collections.abc import Iterator, Sequence

from database.adapting.pairs import Pair


def batches(pairs: Sequence[Pair], size: int) -> Iterator[list[int]]:
    """Yield the indices of `size` pairs each, in order; an incomplete last batch is dropped.

    No batch contains a passage or a question twice, since a correct answer would count as a
    negative. A pair that does not fit a batch is deferred to the next.
    """
    pending = deque(range(len(pairs)))
    while len(pending) >= size:
        batch, deferred = list[int](), list[int]()
        used: set[str] = set()
        while pending and len(batch) < size:
            at = pending.popleft()
            keys = {f"chunk {pairs[at].chunk}", pairs[at].question.lower()}
            if used & keys:
                deferred.append(at)
            else:
                batch.append(at)
                used |= keys
        pending.extendleft(reversed(deferred))
        if len(batch) < size:
            return
        yield batch
