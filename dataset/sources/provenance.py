"""Where documents are from, and as of when, by the files beside them."""

import re
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from dataset.sources.api_reference import FOLDER
from dataset.sources.developer_guide import AS_OF, guide_names
from dataset.web.fetched_pages import checked_pages, fetched_files
from dataset.web.file_names import FOLDER as WEB_FOLDER
from dataset.web.request import GUIDE_URL
from utils.errors import DatasetError

GUIDE = "Amazon SageMaker Developer Guide"
LIVE_GUIDE = "AWS SageMaker Developer Guide, live"
API_REFERENCE = "Amazon SageMaker API Reference"
OTHERS = "other documents"

_API_REFERENCE_URL = "https://docs.aws.amazon.com/sagemaker/latest/APIReference/"
_GUIDE_HISTORY = "doc-history.md"
_DATE_COLUMN = re.compile(r"\|\s*([A-Z][a-z]+ \d{1,2}, \d{4})\s*\|?\s*$", re.MULTILINE)
"""The last column of the history's table; its texts contain other dates."""
_GENERATED_FROM = re.compile(r"\bbotocore (\d[\w.]*\w)")
_MAX_HOSTS = 20
"""Hosts listed by name, those with most documents; the index stores all sources in one field."""


@dataclass(frozen=True, slots=True)
class Source:
    """The source of a part of the documents, and its date."""

    name: str
    documents: int
    url: str
    """Its address for readers; "" if unknown."""
    as_of: str
    """A date (ISO 8601) or a version; "" if unknown."""


def sources_of(names: Iterable[str], folder: Path) -> tuple[Source, ...]:
    """The sources of named documents, by the files that were written with them in their folder."""
    guide_pages, live = guide_names(), _fetched(folder)
    counts: Counter[str] = Counter()
    hosts: Counter[str] = Counter()
    checks: list[str] = []
    for name in names:
        if name in live:
            checks.append(live[name][:10])
        elif name in guide_pages:
            counts[GUIDE] += 1
        elif name.startswith(f"{FOLDER}/"):
            counts[API_REFERENCE] += 1
        elif name.startswith(f"{WEB_FOLDER}/") and name.count("/") > 1:
            hosts[name.split("/")[1]] += 1
        else:
            counts[OTHERS] += 1
    named = dict(hosts.most_common(_MAX_HOSTS))
    counts[OTHERS] += hosts.total() - sum(named.values())
    archived_as_of = AS_OF if _GUIDE_HISTORY in live else _newest_change(folder)
    sources = (
        # As of the check that is longest ago: every page is at least as current.
        Source(LIVE_GUIDE, len(checks), GUIDE_URL, min(checks, default="")),
        Source(GUIDE, counts[GUIDE], GUIDE_URL, archived_as_of),
        Source(API_REFERENCE, counts[API_REFERENCE], _API_REFERENCE_URL, _version(folder)),
        *_of_hosts(named, folder),
        Source(OTHERS, counts[OTHERS], "", ""),
    )
    return tuple(source for source in sources if source.documents)


def _fetched(folder: Path) -> dict[str, str]:
    """The fetched pages; a state that cannot be read is reported when pages are fetched."""
    with suppress(DatasetError):
        return fetched_files(folder)
    return {}


def _of_hosts(counts: dict[str, int], folder: Path) -> list[Source]:
    """The websites, each as of the last check of one of its pages."""
    known: dict[str, tuple[str, str]] = {}
    pages: list[tuple[str, str, str]] = []
    if counts:
        with suppress(DatasetError):
            pages = list(checked_pages(folder / WEB_FOLDER))
        for file, url, checked in pages:
            place = file.split("/")[0]
            known[place] = max(known.get(place, ("", "")), (checked[:10], url))
    sources = []
    for place, documents in sorted(counts.items()):
        as_of, url = known.get(place, ("", ""))
        host = place.replace("~", ":")
        root = f"{url.partition('://')[0] or 'https'}://{host}/"
        sources.append(Source(host, documents, root, as_of))
    return sources


def _newest_change(folder: Path) -> str:
    """The newest date in the guide's history."""
    dates = [""]
    for text in _DATE_COLUMN.findall(_read(folder / _GUIDE_HISTORY)):
        with suppress(ValueError):
            dates.append(datetime.strptime(text, "%B %d, %Y").date().isoformat())
    return max(dates)


def _version(folder: Path) -> str:
    """The botocore version of the API reference, which may differ from the installed one."""
    found = _GENERATED_FROM.search(_read(folder / FOLDER / "NOTICE"))
    return f"botocore {found.group(1)}" if found else ""


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
