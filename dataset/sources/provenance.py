"""Where documents are from, and as of when, by the files beside them."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from dataset.sources.api_reference import FOLDER
from dataset.sources.developer_guide import guide_names
from dataset.sources.live_guide import folder_of
from dataset.web.file_names import FOLDER as WEB_FOLDER
from dataset.web.request import GUIDE_URL, live_guide
from dataset.web.state import checked_pages

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
    guide_pages = guide_names()
    live = folder_of(live_guide())
    counts: Counter[str] = Counter()
    hosts: Counter[str] = Counter()
    for name in names:
        if name in guide_pages:
            counts[GUIDE] += 1
        elif name.startswith(f"{FOLDER}/"):
            counts[API_REFERENCE] += 1
        elif name.startswith(live):
            hosts[live] += 1
        elif name.startswith(f"{WEB_FOLDER}/") and name.count("/") > 1:
            hosts["/".join(name.split("/")[:2]) + "/"] += 1
        else:
            counts[OTHERS] += 1
    named = dict(hosts.most_common(_MAX_HOSTS))
    counts[OTHERS] += hosts.total() - sum(named.values())
    sources = (
        Source(GUIDE, counts[GUIDE], GUIDE_URL, _newest_change(folder)),
        Source(API_REFERENCE, counts[API_REFERENCE], _API_REFERENCE_URL, _version(folder)),
        *_of_hosts(named, live, folder),
        Source(OTHERS, counts[OTHERS], "", ""),
    )
    return tuple(source for source in sources if source.documents)


def _of_hosts(counts: dict[str, int], live: str, folder: Path) -> list[Source]:
    """The websites, each as of the last check of one of its pages."""
    known: dict[str, tuple[str, str]] = {}
    if counts:
        for file, url, checked in checked_pages(folder / WEB_FOLDER):
            name = f"{WEB_FOLDER}/{file}"
            host = live if name.startswith(live) else "/".join(name.split("/")[:2]) + "/"
            known[host] = max(known.get(host, ("", "")), (checked[:10], url))
    sources = []
    for place, documents in sorted(counts.items()):
        as_of, url = known.get(place, ("", ""))
        if place == live:
            sources.append(Source(LIVE_GUIDE, documents, GUIDE_URL, as_of))
            continue
        host = place.split("/")[1].replace("~", ":")
        root = f"{url.partition('://')[0] or 'https'}://{host}/"
        sources.append(Source(host, documents, root, as_of))
    return sources


def _newest_change(folder: Path) -> str:
    """The newest date in the guide's history."""
    dates = [_date(text) for text in _DATE_COLUMN.findall(_read(folder / _GUIDE_HISTORY))]
    return max((found.isoformat() for found in dates if found), default="")


def _date(text: str) -> date | None:
    try:
        return datetime.strptime(text, "%B %d, %Y").date()
    except ValueError:
        return None


def _version(folder: Path) -> str:
    """The botocore version of the API reference, which may differ from the installed one."""
    found = _GENERATED_FROM.search(_read(folder / FOLDER / "NOTICE"))
    return f"botocore {found.group(1)}" if found else ""


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
