"""The text of an answer without a language model."""

from collections.abc import Sequence
from typing import Any

from database.searching.confidence import ConfidenceFeatures
from database.searching.passage import Findings, Passage
from inference_worker.answering.answer_writer import Writer
from inference_worker.answering.draft import Draft
from inference_worker.answering.metrics import Metrics
from tests.files.pages import chunk
from utils.errors import DocsQAError
from utils.settings import Settings


async def search_nothing(query: str) -> Findings:
    raise AssertionError("only a language model searches again")


async def at_once(work: Any, *args: Any) -> Any:
    return work(*args)


def failing_cosines(question: str, texts: Sequence[str]) -> list[float]:
    raise DocsQAError("The embedding service cannot be reached.")


async def test_without_embeddings_the_words_decide_what_is_quoted() -> None:
    texts = ["Owls sleep in the kiln house by day.", "A kiln dries oak in nine days."]
    passages = [Passage(chunk(text, ordinal=at), text, 0.5) for at, text in enumerate(texts)]
    findings = Findings(passages, 0.9, answerable=True, features=ConfidenceFeatures(1, 1, 1, 1))
    draft = Draft("How long does oak dry?", (), "How long does oak dry?", findings, passages, [])
    writer = Writer(None, Settings(), Metrics(), failing_cosines, at_once)

    events = [event async for event in writer.write(draft, search_nothing, top_k=8, streaming=True)]

    assert draft.text.startswith("A kiln dries oak in nine days.\n\n[1] Kilns")
    assert [each.text for each in draft.passages] == texts[::-1]
    assert events
