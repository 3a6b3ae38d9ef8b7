"""What a person asks for: lists of pages, and how they are to be fetched."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from dataset.web.http.addresses import normal
from utils.errors import DatasetError, DocumentError

ListKind = Literal["url", "urls", "sitemap", "llms.txt", "contents"]

LIVE_GUIDE = "aws-live"
GUIDE_URL = "https://docs.aws.amazon.com/sagemaker/latest/dg/"
"""The live SageMaker Developer Guide."""
PRESETS = (LIVE_GUIDE,)


@dataclass(frozen=True, slots=True)
class PageList:
    """Something that names pages."""

    kind: ListKind
    where: str
    """An address in its normal spelling; for `urls` a file's path."""
    optional: bool = False
    """One of several lists of the same pages, of which any may be missing."""

    @property
    def name(self) -> str:
        """What the list is known by between runs."""
        return f"{self.kind} {self.where}"


@dataclass(frozen=True, slots=True)
class Guide:
    """A guide as AWS publishes one: every page as `.html`, and mostly beside it as `.md`."""

    root: str

    @property
    def lists(self) -> tuple[PageList, ...]:
        """Where its pages are named."""
        return (
            PageList("sitemap", f"{self.root}sitemap.xml", optional=True),
            PageList("llms.txt", f"{self.root}llms.txt", optional=True),
            PageList("contents", f"{self.root}toc-contents.json", optional=True),
        )

    def holds(self, url: str) -> bool:
        """Tell whether an address is one of its pages."""
        return url.startswith(self.root) and url.endswith((".html", ".md"))

    def spelled(self, url: str) -> str:
        """Give the address under which a person reads a page of the guide; others as they are."""
        page, hash_sign, fragment = url.partition("#")
        if not self.holds(page):
            return url
        return page.removesuffix(".md").removesuffix(".html") + ".html" + hash_sign + fragment

    def forms(self, url: str) -> tuple[str, ...]:
        """The addresses to ask for a page, the best first."""
        return (url.removesuffix(".html") + ".md", url) if self.holds(url) else (url,)


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """Which pages are asked for, and how they are to be fetched."""

    lists: tuple[PageList, ...]
    guide: Guide | None = None
    include: tuple[str, ...] = ()
    """Patterns of addresses (`*` is any run of characters); with any, only what matches one."""
    exclude: tuple[str, ...] = ()
    limit: int | None = None
    """Pages to ask for in one run."""
    rate: float = 2.0
    """Requests a second to one host."""
    contact: str = ""
    other_hosts: bool = False
    """Whether a list may name pages of other hosts than its own."""
    intranet: bool = False
    allow_removals: bool = False

    @property
    def named(self) -> tuple[str, ...]:
        """The addresses that the person gave."""
        return tuple(one.where for one in self.lists if one.kind != "urls")

    def wants(self, url: str) -> bool:
        """Tell whether a page is asked for."""
        included = not self.include or any(fnmatchcase(url, one) for one in self.include)
        return included and not any(fnmatchcase(url, one) for one in self.exclude)

    def spelled(self, url: str) -> str:
        """Give the address under which a person reads a page."""
        return self.guide.spelled(url) if self.guide else url

    def forms(self, url: str) -> tuple[str, ...]:
        """The addresses to ask for a page, the best first."""
        return self.guide.forms(url) if self.guide else (url,)


def live_guide(root: str = GUIDE_URL) -> Guide:
    """The SageMaker Developer Guide as it is now, or a mirror of it."""
    return Guide(parse_address(root if root.endswith("/") else f"{root}/"))


def parse_address(address: str) -> str:
    """An address that a person gave, in its normal spelling.

    Raises:
        DatasetError: it is none.
    """
    try:
        return normal(address)
    except DocumentError as error:
        raise DatasetError(
            f"{address!r} {error}. Give one like https://docs.example.com/page.html"
        ) from error
