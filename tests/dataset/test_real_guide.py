"""The real Developer Guide, if available, is loaded and split."""

from pathlib import Path

import pytest

from database.embedding.local_model import LocalModel
from dataset.folder import load_documents
from dataset.splitting import ChunkSize, split_document

pytestmark = pytest.mark.model

PAGES = 1284
ONLY_LINKS = {
    "api-and-sdk-reference.md",
    "autopilot-reference.md",
    "general-topiclist.md",
    "index.md",
}


def test_every_page_is_split_into_chunks_that_fit_the_model(
    developer_guide: Path, minilm: LocalModel
) -> None:
    tokenizer = minilm.tokenizer()

    def count(text: str) -> int:
        return len(tokenizer.encode(text, add_special_tokens=False))

    size = ChunkSize(minilm.max_tokens - 2, 0)
    skipped: list[str] = []
    without_text = set()
    ids: set[str] = set()
    for number, document in enumerate(load_documents(developer_guide, skipped.append)):
        chunks = split_document(document, size, count)
        ids.update(chunk.id for chunk in chunks)
        if not chunks:
            without_text.add(document.name)
        assert all(chunk.url.startswith("https://docs.aws.amazon.com/") for chunk in chunks)
        assert all(chunk.siblings == len(chunks) for chunk in chunks)
        if number % 10 == 0:  # counting all of them again would double the time
            assert all(count(chunk.text_to_embed) <= size.tokens for chunk in chunks)
            assert not any(
                "<a name" in c.text or "\\." in c.text for c in chunks if "`" not in c.text
            )

    assert number + 1 == PAGES
    assert skipped == []
    assert without_text == ONLY_LINKS
    assert len(ids) > 10 * PAGES // 2
