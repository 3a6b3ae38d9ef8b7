"""The folder of the builds: pages that are permanent, that change, or that the API writes too."""

import random
import time
from dataclasses import dataclass, field
from pathlib import Path

from dataset.folder import document_paths
from dataset.markdown.reader import sections
from tests.endurance.checker.model import BUILD_SECONDS, Document, Model, Span
from tests.endurance.documents.pages import Version, write

_MAX_CHANGING, SHARED = 60, 12
"""The numbers of pages that change between builds, and that the API writes too."""
_MAX_CHANGES = 8


@dataclass(slots=True)
class Folder:
    """The pages as files and in the model."""

    path: Path
    model: Model
    rng: random.Random
    _names: list[str] = field(default_factory=list)
    _held: dict[str, Version] = field(default_factory=dict)
    _pending: list[tuple[Document, Span]] = field(default_factory=list)
    """Changes since the last finished build."""

    def fill(self, dataset: Path | None, pages: int) -> None:
        """Write the permanent pages (a dataset's, or generated), and most that change."""
        if dataset:
            self._take(dataset)
        else:
            for number in range(pages):
                name = f"base/page-{number:03d}.md"
                self._write(name, write(self.model.add_permanent(name), name))
        self._names = [
            f"folder/page-{number:02d}.md" for number in range(min(pages, _MAX_CHANGING))
        ]
        self._names += [shared_name(number) for number in range(SHARED)]
        for name in self._names:
            document = self.model.add(name)
            if self.rng.random() < 0.8:
                self._put(document)

    def _take(self, dataset: Path) -> None:
        """Copy a dataset's pages, each with an additional section that contains its marker."""
        for path in document_paths(dataset):
            name = path.relative_to(dataset).as_posix()
            text = path.read_text(encoding="utf-8-sig", errors="replace")
            if path.suffix == ".md" and sections(text):
                version = self.model.add_permanent(name, sections=1)
                note = f"{version.marker} {version.section_marker(0)}"
                self._write(
                    name, f"{text}\n\n## Note\n\nThe note of this page ({note}).\n".encode()
                )

    def change(self) -> int:
        """Add, change and remove a few random pages; returns their number."""
        names = self.rng.sample(self._names, self.rng.randint(3, _MAX_CHANGES))
        for name in names:
            document = self.model.add(name)
            if name in self._held and self.rng.random() < 0.35:
                self._remove(document)
            else:
                self._put(document)
        return len(names)

    def replace(self, count: int) -> None:
        """Write new versions of pages that change, the same ones each time."""
        for name in list(self._held)[:count]:
            self._put(self.model.documents[name])

    def _put(self, document: Document) -> None:
        version = document.next_version()
        self._held[document.name] = version
        self._write(document.name, write(version, document.name))
        self._pending.append((document, document.folder.begin(version, time.perf_counter())))

    def _remove(self, document: Document) -> None:
        del self._held[document.name]
        (self.path / document.name).unlink()
        self._pending.append((document, document.folder.begin(None, time.perf_counter())))

    def _write(self, name: str, content: bytes) -> None:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def built(self) -> None:
        """Record that a build has indexed the current folder."""
        now = time.perf_counter()
        for document, span in self._pending:
            document.folder.done(span, now, allowance=BUILD_SECONDS)
        self._pending.clear()


def shared_name(number: int) -> str:
    """The name of a page that the folder and the API both write."""
    return f"shared/page-{number:02d}.md"
