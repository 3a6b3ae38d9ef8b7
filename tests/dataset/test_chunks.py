"""Chunks of a document as text."""

from dataset.chunks import document_text
from dataset.documents import Document
from dataset.splitting import ChunkSize, split_document


def test_text_of_a_document_has_every_heading_once() -> None:
    page = "# Kilns\n\n## Heat\n\nWarm.\n\n## Wood\n\n### Oak\n\nHard.\n\n### Ash\n\nSoft.\n"
    chunks = split_document(Document("a.md", page, "", "", "c0"), ChunkSize(60, 0), len)
    assert document_text(chunks) == page.partition("\n\n")[2].strip()
