"""The options of `python -m dataset.fetch` for web pages."""

import argparse
from pathlib import Path
from typing import Any

from dataset.web.request import FetchRequest, PageList, live_request, parse_address
from utils.errors import DatasetError

_MAX_RATE = 100.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `--source web` and `--source live`."""
    web = parser.add_argument_group("pages of other websites, with --source web only")
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
        "--include", **repeatable, metavar="GLOB",
        help="only pages whose address matches; * also matches / (repeatable)",
    )  # fmt: skip
    web.add_argument(
        "--exclude", **repeatable, metavar="GLOB", help="no pages whose address matches"
    )
    web.add_argument(
        "--other-hosts", action="store_true",
        help="also fetch pages of other hosts that a sitemap or an llms.txt names",
    )  # fmt: skip
    requests = parser.add_argument_group("requests to websites and for the live guide")
    requests.add_argument("--limit", type=_count, metavar="N", help="request at most N pages")
    requests.add_argument(
        "--rate", type=_rate, metavar="PER_SECOND",
        help="requests per second to one host (default: 2, or for the live guide 8 at a time); its "
        "robots.txt may require fewer",
    )  # fmt: skip
    requests.add_argument(
        "--contact", type=_contact, default="", metavar="URL_OR_MAIL",
        help="a contact for the host's operator, sent in the User-Agent",
    )  # fmt: skip
    requests.add_argument(
        "--intranet", action="store_true",
        help="allow host names with private addresses; numeric addresses given here always work",
    )  # fmt: skip
    requests.add_argument(
        "--allow-removals", action="store_true",
        help="remove pages even if most of a list or a host vanish at once",
    )  # fmt: skip


def needs_web(arguments: argparse.Namespace) -> bool:
    """True if there is an option that only `--source web` has."""
    web = ("url", "urls", "sitemap", "llms_txt", "include", "exclude", "other_hosts")
    return any(getattr(arguments, name) for name in web)


def request_of(arguments: argparse.Namespace, *, live: bool) -> FetchRequest:
    """The request that the options state: for the `live` guide, or for pages that they name.

    Raises:
        DatasetError: they name no page, or an invalid address.
    """
    given = {"rate": arguments.rate} if arguments.rate else {}
    for name in ("limit", "contact", "intranet", "allow_removals"):
        given[name] = getattr(arguments, name)
    if live:
        return live_request(arguments.live_url, **given)
    lists = [
        *(PageList("url", parse_address(url, "--url")) for url in arguments.url),
        *(PageList("sitemap", parse_address(url, "--sitemap")) for url in arguments.sitemap),
        *(PageList("llms.txt", parse_address(url, "--llms-txt")) for url in arguments.llms_txt),
        *(PageList("urls", str(path.resolve())) for path in arguments.urls),
    ]
    if not lists:
        raise DatasetError("No page is named. Give --url, --urls, --sitemap or --llms-txt.")
    return FetchRequest(
        tuple(dict.fromkeys(lists)),
        include=tuple(arguments.include),
        exclude=tuple(arguments.exclude),
        other_hosts=arguments.other_hosts,
        **given,
    )


def _count(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or int(text[:9]) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text[:9])


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate <= _MAX_RATE:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number above 0 and up to {_MAX_RATE:.0f}"
        )
    return rate


def _contact(text: str) -> str:
    if not text.isascii() or not text.isprintable() or set("()\\") & set(text) or len(text) > 200:
        raise argparse.ArgumentTypeError("give an address of a page or a mailbox")
    return text
