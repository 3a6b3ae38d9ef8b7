"""The options of `python -m dataset.fetch` for web pages."""

import argparse
from pathlib import Path
from typing import Any

from dataset.web.request import NO_GUIDE, PRESETS, FetchRequest, PageList, live_guide, parse_address
from utils.errors import DatasetError

_MAX_RATE = 100.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `--source web`."""
    web = parser.add_argument_group("pages of the web, fetched with --source web only")
    repeatable: dict[str, Any] = {"action": "append", "default": []}
    web.add_argument("--url", **repeatable, metavar="URL", help="a page (repeatable)")
    web.add_argument(
        "--urls", type=Path, **repeatable, metavar="FILE",
        help="a file with an address on each line; # begins a comment (repeatable)",
    )  # fmt: skip
    web.add_argument(
        "--sitemap", **repeatable, metavar="URL", help="a sitemap, or an index of them"
    )
    web.add_argument("--llms-txt", **repeatable, metavar="URL", help="an llms.txt")
    web.add_argument(
        "--preset", choices=PRESETS, help="aws-live: the SageMaker Developer Guide as it is now"
    )
    web.add_argument("--preset-url", metavar="URL", help="a mirror of the preset's guide")
    web.add_argument(
        "--include", **repeatable, metavar="GLOB",
        help="only pages whose address matches; * also matches / (repeatable)",
    )  # fmt: skip
    web.add_argument(
        "--exclude", **repeatable, metavar="GLOB", help="no pages whose address matches"
    )
    web.add_argument("--limit", type=_count, metavar="N", help="request at most N pages")
    web.add_argument(
        "--rate", type=_rate, default=2.0, metavar="PER_SECOND",
        help="requests per second to one host (default: 2); its robots.txt may require fewer",
    )  # fmt: skip
    web.add_argument(
        "--contact", type=_contact, default="", metavar="URL_OR_MAIL",
        help="a contact for the host's operator, sent in the User-Agent",
    )  # fmt: skip
    web.add_argument(
        "--other-hosts", action="store_true",
        help="also fetch pages of other hosts that a sitemap or an llms.txt names",
    )  # fmt: skip
    web.add_argument(
        "--intranet", action="store_true",
        help="allow host names with private addresses; numeric addresses given here always work",
    )  # fmt: skip
    web.add_argument(
        "--allow-removals", action="store_true",
        help="remove pages even if most of a list or a host vanish at once",
    )  # fmt: skip


def names_pages(arguments: argparse.Namespace) -> bool:
    """True if the options name a page or a list of pages."""
    lists = (arguments.url, arguments.urls, arguments.sitemap, arguments.llms_txt)
    return any(lists) or bool(arguments.preset or arguments.preset_url)


def request_of(arguments: argparse.Namespace) -> FetchRequest:
    """The request that the options state.

    Raises:
        DatasetError: they name no page, or an invalid address.
    """
    lists = [
        *(PageList("url", parse_address(url)) for url in arguments.url),
        *(PageList("sitemap", parse_address(url)) for url in arguments.sitemap),
        *(PageList("llms.txt", parse_address(url)) for url in arguments.llms_txt),
        *(PageList("urls", str(path.resolve())) for path in arguments.urls),
    ]
    guide = NO_GUIDE
    if arguments.preset:
        guide = live_guide(arguments.preset_url)
        lists += guide.lists
    if not lists:
        raise DatasetError(
            "No page is named. Give --url, --urls, --sitemap, --llms-txt or --preset."
        )
    return FetchRequest(
        lists=tuple(dict.fromkeys(lists)),
        guide=guide,
        include=tuple(arguments.include),
        exclude=tuple(arguments.exclude),
        limit=arguments.limit,
        rate=arguments.rate,
        contact=arguments.contact,
        other_hosts=arguments.other_hosts,
        intranet=arguments.intranet,
        allow_removals=arguments.allow_removals,
    )


def _count(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or int(text[:9]) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return int(text[:9])


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate <= _MAX_RATE:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0 and up to {_MAX_RATE:.0f}")
    return rate


def _contact(text: str) -> str:
    if not text.isascii() or not text.isprintable() or set("()\\") & set(text) or len(text) > 200:
        raise argparse.ArgumentTypeError("give an address of a page or a mailbox")
    return text
