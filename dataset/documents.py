"""Reads a folder of markdown as documents, one at a time."""

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from dataset.developer_guide import GUIDE_URL, guide_names
from utils.errors import DatasetError

MAX_DOCUMENT_BYTES = 10 * 1024 * 1024
"""A larger file is no page that a person wrote; reading it would cost unbounded memory."""

_FRONTMATTER = re.compile(r"\A---[ \t]*\n(.*?)\n---[ \t]*\n", re.DOTALL)
_LINE_END = re.compile(r"\r\n?")

Skipped = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Document:
    """One page as it lies in the dataset."""

    name: str
    """Path under the dataset's root, `/`-separated."""
    text: str
    """Markdown, without its frontmatter."""
    title: str
    """From the frontmatter, else "": the splitter then takes the first heading."""
    url: str
    """Where a person reads it live; "" if unknown."""
    content_hash: str
    """SHA-256 of the file's bytes, hexadecimal."""


def document_paths(folder: Path) -> list[Path]:
    """List the markdown files below a folder in a fixed order, hidden ones left out.

    Raises:
        DatasetError: the folder is missing or holds no markdown.
    """
    if not folder.is_dir():
        raise DatasetError(
            f"No dataset folder at {folder}. Fetch the documentation: python -m dataset.fetch"
        )
    found = (
        path
        for path in folder.rglob("*.md")
        if path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    paths = sorted(found, key=lambda path: path.relative_to(folder).as_posix())
    if not paths:
        raise DatasetError(
            f"No markdown file in {folder}. Fetch the documentation: python -m dataset.fetch"
        )
    return paths


def has_documents(folder: Path) -> bool:
    """Tell whether there is anything to load."""
    try:
        return bool(document_paths(folder))
    except DatasetError:
        return False


def load(folder: Path, skipped: Skipped) -> Iterator[Document]:
    """Read every document below a folder, in the order of their names.

    A file that cannot be a document is left out; `skipped` is told which and why, in one line.

    Raises:
        DatasetError: the folder is missing or holds no markdown.
    """
    for path in document_paths(folder):
        name = path.relative_to(folder).as_posix()
        try:
            yield _read(path, name)
        except DatasetError as error:
            shown = name.encode(errors="replace").decode()
            skipped(f"Skipped {shown}: {error}")


def _read(path: Path, name: str) -> Document:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise DatasetError("its name is not UTF-8; rename it") from error
    try:
        size = path.stat().st_size
        if size > MAX_DOCUMENT_BYTES:
            raise DatasetError(
                f"{size / 2**20:.0f} MiB is over the limit of {MAX_DOCUMENT_BYTES >> 20} MiB; "
                "split it into pages"
            )
        content = path.read_bytes()
        text = _LINE_END.sub("\n", content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise DatasetError(f"not UTF-8 text (byte {error.start}); convert it") from error
    except OSError as error:
        raise DatasetError(f"cannot be read ({error.strerror})") from error
    text, title, url = _without_frontmatter(text)
    if not url and name in guide_names():
        url = f"{GUIDE_URL}{path.stem}.html"
    return Document(
        name=name,
        text=text,
        title=title,
        url=url,
        content_hash=hashlib.sha256(content).hexdigest(),
    )


def _without_frontmatter(text: str) -> tuple[str, str, str]:
    """Take a YAML frontmatter off a page: text, title and url."""
    found = _FRONTMATTER.match(text)
    if not found:
        return text, "", ""
    try:
        fields = yaml.safe_load(found.group(1))
    except (yaml.YAMLError, ValueError, RecursionError):  # ValueError: a date that is none
        return text, "", ""
    if not isinstance(fields, dict):
        return text, "", ""
    url = _line(fields.get("url"))
    web = url.startswith(("http://", "https://"))
    return text[found.end() :], _line(fields.get("title")), url if web else ""


def _line(value: object) -> str:
    return " ".join(str(value).split()) if isinstance(value, str | int | float) else ""
