"""The real Developer Guide, if available, is loaded and split."""

from functools import cache
from pathlib import Path

import pytest

from database.embedding.local_model import LocalModel
from dataset.folder import load_documents
from dataset.splitting import ChunkSize, split_document

pytestmark = [pytest.mark.slow, pytest.mark.model]

PAGES = 1284
ONLY_LINKS = {"autopilot-reference.md", "index.md"}


def test_chunks_of_every_page_fit_the_model(developer_guide: Path, minilm: LocalModel) -> None:
    tokens_of_word = cache(minilm.count_tokens)

    def count(text: str) -> int:
        # MiniLM's tokenizer first splits at white space, so words can be counted once each. This
        # takes a quarter of the time of counting whole texts.
        return sum(map(tokens_of_word, text.split()))

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
        if number % 10 == 0:  # the tokenizer's own count of all of them would double the time
            for chunk in chunks:
                tokens = minilm.count_tokens(chunk.text_to_embed)
                assert tokens == count(chunk.text_to_embed) <= size.tokens
            assert not any(
                "<a name" in c.text or "\\." in c.text for c in chunks if "`" not in c.text
            )

    assert number + 1 == PAGES
    assert skipped == []
    assert without_text == ONLY_LINKS
    assert len(ids) > 10 * PAGES // 2
