"""What to fetch: lists of pages, and how to fetch them."""

import math
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

from dataset.web.http.addresses import normal
from utils.errors import DatasetError, DocumentError

ListKind = Literal["url", "urls", "sitemap", "llms.txt"]

GUIDE_URL = "https://docs.aws.amazon.com/sagemaker/latest/dg/"
"""The live SageMaker Developer Guide."""


@dataclass(frozen=True, slots=True)
class PageList:
    """A source that names pages."""

    kind: ListKind
    where: str
    """A normalized address; for `urls` a file's path."""

    @property
    def name(self) -> str:
        """The key of the list in the state."""
        return f"{self.kind} {self.where}"


@dataclass(frozen=True, slots=True)
class Guide:
    """A guide as AWS publishes it: every page as `.html`, and most also as `.md`."""

    root: str
    """The address of its folder; "" for a guide without pages."""

    def has_page(self, url: str) -> bool:
        """True if an address is one of its pages."""
        return bool(self.root) and url.startswith(self.root) and url.endswith((".html", ".md"))

    def spelled(self, url: str) -> str:
        """The address for readers of a page, also of the site's other guides; others unchanged."""
        page, hash_sign, fragment = url.partition("#")
        site = "/".join((*self.root.split("/")[:3], ""))
        if not self.root or not page.endswith(".md") or not page.startswith(site):
            return url
        return page.removesuffix(".md") + ".html" + hash_sign + fragment

    def forms(self, url: str) -> tuple[str, ...]:
        """The addresses to request a page from, the best first."""
        return (url.removesuffix(".html") + ".md", url) if self.has_page(url) else (url,)


NO_GUIDE = Guide("")


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """Which pages to fetch, and how."""

    lists: tuple[PageList, ...]
    guide: Guide = NO_GUIDE
    include: tuple[str, ...] = ()
    """Patterns of addresses (`*` matches any characters); if given, a page must match one."""
    exclude: tuple[str, ...] = ()
    limit: int | None = None
    """Maximum pages to request in one run."""
    rate: float = 2.0
    """Requests per second to one host."""
    at_once: int = 1
    """Requests at a time to one host, unless its robots.txt requires a delay."""
    answer_seconds: float | None = None
    """Maximum wait for the first list, without our own pauses."""
    contact: str = ""
    other_hosts: bool = False
    """True if a list may name pages of other hosts."""
    intranet: bool = False
    allow_removals: bool = False

    def matches(self, url: str) -> bool:
        """True if the patterns include a page."""
        included = not self.include or any(fnmatchcase(url, one) for one in self.include)
        return included and not any(fnmatchcase(url, one) for one in self.exclude)


def live_request(root: str = GUIDE_URL, **options: Any) -> FetchRequest:
    """Requests the live SageMaker Developer Guide, or a mirror of it; `options` are its fields.

    Raises:
        DatasetError: `root` is not the address of a folder.
    """
    folder = f"{root.partition('#')[0].rstrip('/')}/"
    guide = Guide(parse_address(folder, "--live-url"))
    if "?" in guide.root:
        raise DatasetError(f"{root!r} has a query. Give --live-url a folder, like {GUIDE_URL}")
    pages = PageList("llms.txt", f"{guide.root}llms.txt")
    defaults = {"rate": math.inf, "at_once": 8, "answer_seconds": 10.0}
    return FetchRequest((pages,), guide, **defaults | options)


def parse_address(address: str, option: str) -> str:
    """Normalize an address that the user gave with an option.

    Raises:
        DatasetError: it is not a web address.
    """
    try:
        return normal(address)
    except DocumentError as error:
        raise DatasetError(
            f"{address!r} {error}. Give {option} one like https://docs.example.com/page.html"
        ) from error
