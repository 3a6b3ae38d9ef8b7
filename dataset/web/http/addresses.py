"""Normalizes the addresses of pages, so that none is fetched twice."""

import ipaddress
import re
from urllib.parse import quote, urldefrag, urljoin, urlsplit

from utils.errors import DocumentError

MAX_CHARACTERS = 2000
_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?")
_PORTS = {"http": 80, "https": 443}
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
"""Unreserved bytes, whose escapes are removed (RFC 3986, 2.3)."""
_KEPT = "/%:@!$&'()*+,;=~-._"


def normal(address: str, base: str = "") -> str:
    """Normalize an address: absolute, and without its fragment.

    Raises:
        DocumentError: it is not the address of a web page.
    """
    try:
        parts = urlsplit(urldefrag(urljoin(base, address.strip())).url)
        port = parts.port
        host = _host(parts.hostname or "")
        if parts.scheme not in _PORTS or parts.username is not None or parts.password is not None:
            raise DocumentError("is not an http or https address without a password")
        shown = f"[{host}]" if ":" in host else host
        if port is not None and port != _PORTS[parts.scheme]:
            shown += f":{port}"
        # A path that begins with two slashes would be read as a host.
        path = "/" + _escaped(parts.path, _KEPT).lstrip("/")
        path = urlsplit(urljoin(f"http://host{path}", path)).path or "/"
        query = f"?{_escaped(parts.query, _KEPT + '?')}" if parts.query else ""
    except (ValueError, UnicodeError) as error:
        raise DocumentError("is not the address of a page") from error
    found = f"{parts.scheme}://{shown}{path}{query}"
    if len(found) > MAX_CHARACTERS:
        raise DocumentError(f"is longer than {MAX_CHARACTERS} characters")
    return found


def host_of(url: str) -> str:
    """An address's host, with its port unless that is the scheme's default."""
    return urlsplit(url).netloc


def endpoint(url: str) -> tuple[str, int]:
    """An address's host and port."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or _PORTS[parts.scheme]


def is_literal(host: str) -> bool:
    """True if a host is a numeric address or `localhost`, not a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return True


def shown(address: str) -> str:
    """Make an untrusted address safe for one line of output."""
    line = "".join(char if char.isprintable() else "?" for char in address)
    return line if len(line) <= 200 else f"{line[:199]}…"


def _host(host: str) -> str:
    if ":" in host:
        return str(ipaddress.IPv6Address(host))
    if not host.isascii():
        host = host.encode("idna").decode()
    host = host.lower().removesuffix(".")
    if not _HOST.fullmatch(host):
        raise ValueError(host)
    return host


def _escaped(text: str, kept: str) -> str:
    text = quote(text, safe=kept)
    return _ESCAPE.sub(_one_spelling, text)


def _one_spelling(escape: re.Match[str]) -> str:
    byte = int(escape[1], 16)
    return chr(byte) if byte in _PLAIN else escape[0].upper()
