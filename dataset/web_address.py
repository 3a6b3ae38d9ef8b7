"""Web addresses of documents (RFC 3986; RFC 3987 for characters beyond ASCII)."""

import re
from ipaddress import IPv4Address, IPv6Address

_CHARACTER = r"[\w\-.~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2}|[^\x00-\x7f]"
_ADDRESS = re.compile(
    rf"https?://(?P<host>\[[\da-fA-F:.]+\]|(?:[\w.-]|[^\x00-\x7f]){{1,253}})(?::(?P<port>\d{{1,5}}))?"
    rf"(?:/(?:{_CHARACTER})*)?(?:\?(?:{_CHARACTER}|\?)*)?(?:\#(?:{_CHARACTER}|\?)*)?",
    re.ASCII,
)
_HOST = re.compile(r"(?:\w(?:[\w-]*\w)?\.)*\w(?:[\w-]*\w)?\.?", re.ASCII)


def is_web_address(url: str) -> bool:
    """Return whether this is a valid http or https address, without a user name."""
    found = _ADDRESS.fullmatch(url)
    if not found or not url.isprintable() or int(found["port"] or 0) > 65535:
        return False
    try:
        return _is_host(found["host"])
    except ValueError:
        return False


def _is_host(host: str) -> bool:
    """Return whether this is a host name or an address; may raise ValueError if it is neither."""
    if host.startswith("["):
        return bool(IPv6Address(host[1:-1]))
    name = host.encode("idna").decode()  # as a lookup of the name does
    if name.rstrip(".").rpartition(".")[2].isdigit():
        return bool(IPv4Address(name))
    return bool(_HOST.fullmatch(name))
