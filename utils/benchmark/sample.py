"""A sample of the documents, and questions about them."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dataset.folder import load_documents
from dataset.markdown.reader import sections
from utils.errors import DocsQAError

_QUESTIONS = 200


@dataclass(frozen=True, slots=True)
class DocumentSample:
    """The sampled documents."""

    documents: int
    size: int
    """Bytes."""


def take_sample(
    folder: Path, target: Path, limit: float, report: Callable[[str], None]
) -> DocumentSample:
    """Copy an evenly spaced sample of a folder's documents; deterministic.

    Args:
        folder: The documents.
        target: The folder to copy them to.
        limit: The approximate size in bytes; 0 for all.
        report: Called with a line for each unreadable document.

    Raises:
        DatasetError: there are none.
    """
    names = [document.name for document in load_documents(folder, report)]
    sizes = {name: (folder / name).stat().st_size for name in names}
    share = min(1.0, limit / sum(sizes.values())) if limit else 1.0
    taken = [name for at, name in enumerate(names) if int((at + 1) * share) > int(at * share)]
    taken = taken or names[:1]
    for name in taken:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / name, target / name)
    return DocumentSample(len(taken), sum(sizes[name] for name in taken))


def heading_questions(folder: Path) -> list[str]:
    """Up to 200 headings of the documents, evenly spaced; deterministic.

    Raises:
        DocsQAError: the documents have no heading.
    """
    found = dict.fromkeys(
        section.headings[-1]
        for document in load_documents(folder, lambda skipped: None)
        for section in sections(document.text)
        if section.headings and section.headings[-1].strip()
    )
    headings = sorted(found)
    if not headings:
        raise DocsQAError(f"No headings in {folder} to ask about; name another folder with -d.")
    step = max(1.0, len(headings) / _QUESTIONS)
    return [headings[int(at * step)] for at in range(min(_QUESTIONS, len(headings)))]
