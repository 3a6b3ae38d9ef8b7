"""What the tests of quality share: an index as users have it, and lower bounds."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from database.building.build import make_builder
from database.embedding.model_finder import find_model
from database.embedding.packaged_models import MINILM
from database.index.store import open_store
from database.reading.reader import Reader
from utils.evaluation.metrics import Values, comparable
from utils.evaluation.questions import LabelledQuestion
from utils.settings import DEFAULT_ADAPTER


@contextmanager
def indexed(
    pages: Path, database: Path, cache: Path, skipped: Callable[[str], None]
) -> Iterator[Reader]:
    """Index a folder with the packaged model and its adapter, and read the index."""
    model = find_model(MINILM, None, DEFAULT_ADAPTER)
    embeddings = model.load_embeddings(device="cpu", cache=cache)
    place = str(database)
    with closing(open_store(place, create=True)) as store:
        make_builder(model, store, cache=cache, device="cpu", skipped=skipped).build(pages)
    with closing(
        Reader(lambda: open_store(place), lambda fingerprint: embeddings, place)
    ) as reader:
        yield reader


def assert_reaches(metric: str, measured: Values, floors: Mapping[str, float]) -> None:
    value = measured[metric]

    assert value is not None
    assert value >= floors[metric]


def lacking_facts(
    questions: Iterable[LabelledQuestion], texts_of: Callable[[str], Iterable[str]]
) -> list[tuple[str, str]]:
    """The facts, each after its question's id, that no text of a gold document contains."""
    return [
        (question.id, fact)
        for question in questions
        for fact in question.answer_facts
        if not any(
            comparable(fact) in comparable(text)
            for name in question.gold_docs
            for text in texts_of(name)
        )
    ]
