"""Where documents are from, and as of when, by the files beside them.

Pages of the Developer Guide can be in the dataset twice: archived and live.
"""

import re
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from dataset.sources.api_reference import FOLDER
from dataset.sources.developer_guide import guide_names
from dataset.web.file_names import FOLDER as WEB_FOLDER
from dataset.web.file_names import file_of
from dataset.web.request import GUIDE_URL, Guide, live_guide
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
_MAX_DUPLICATES_SHOWN = 3
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
        elif name.startswith(f"{WEB_FOLDER}/") and name.count("/") > 1:
            hosts[_website(name, live)] += 1
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
            website = _website(f"{WEB_FOLDER}/{file}", live)
            known[website] = max(known.get(website, ("", "")), (checked[:10], url))
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


def _website(name: str, live: str) -> str:
    """The folder of a web page's website: the live guide, or its host."""
    return live if name.startswith(live) else "/".join(name.split("/")[:2]) + "/"


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


def folder_of(guide: Guide) -> str:
    """The folder of a live guide's pages, below the dataset's root."""
    return f"{WEB_FOLDER}/{file_of(guide.root).removesuffix('index.md')}"


def duplicates_line(folder: Path, guide: Guide) -> str:
    """A line on pages of the archived guide that are also in the live one; "" if there are none."""
    live = folder / folder_of(guide)
    both = sorted(
        name for name in guide_names() if (folder / name).is_file() and (live / name).is_file()
    )
    if not both:
        return ""
    some = ", ".join(both[:_MAX_DUPLICATES_SHOWN])
    more = ", …" if len(both) > _MAX_DUPLICATES_SHOWN else ""
    return (
        f"{len(both)} pages of the guide are there twice, live and from the archive of 2023 "
        f"({some}{more}). To answer without the archive, build "
        f"the index with --include '{WEB_FOLDER}/*' --include 'api-reference/*'"
    )
