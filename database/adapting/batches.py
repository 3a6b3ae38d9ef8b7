"""Which pairs are learned together: each passage of a batch is a wrong answer to the others."""

from collections import deque
from collections.abc import Iterator, Sequence

from database.adapting.pairs import Pair


def batches(pairs: Sequence[Pair], size: int) -> Iterator[list[int]]:
    """Group pairs in their order; no batch holds a passage or a question twice.

    It would be a right answer that counts as a wrong one. A pair that cannot join a batch waits for
    the next; what is left in the end makes no batch.

    Yields:
        Places of `size` pairs.
    """
    waiting = deque(range(len(pairs)))
    while len(waiting) >= size:
        batch: list[int] = []
        taken: set[str] = set()
        passed: list[int] = []
        while waiting and len(batch) < size:
            place = waiting.popleft()
            claims = {f"chunk {pairs[place].chunk}", pairs[place].question.lower()}
            if taken & claims:
                passed.append(place)
            else:
                batch.append(place)
                taken |= claims
        waiting.extendleft(reversed(passed))
        if len(batch) < size:
            return
        yield batch
