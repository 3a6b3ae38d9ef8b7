"""The proxies that the environment names: checked and put right before the first connection.

httpx reads HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY whenever a client is created, in this
project and in its libraries, most of which take no client of ours. It raises errors of several
types for values that other programs accept, and matches no network such as 10.0.0.0/8. So NO_PROXY
is rewritten in the environment as httpx reads it.
"""

import ipaddress
import logging
import os
import re
from collections.abc import Iterable
from importlib.util import find_spec
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass

from utils.errors import SettingsError

log = logging.getLogger(__name__)

_SCHEMES = ("http", "https", "all")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_BRACKETS = re.compile(r"\[([^]]*)\](/\d+)?(:\d+)?")
_PORT_OF_IPV4 = re.compile(r"(?<=\d):\d+$")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def prepare_proxies(addresses: Iterable[str]) -> None:
    """Check the proxies, and have all clients connect directly where NO_PROXY asks for it.

    They also do so to this machine and to hosts without a domain, such as a container's, which no
    proxy knows. The addresses that remain are logged with their proxy's variable.

    Args:
        addresses: Those of the servers that this process connects to.

    Raises:
        SettingsError: a variable cannot be used; the message names it, and not its value, which may
            contain a password.
    """
    proxies = getproxies_environment()
    entries = re.split(r"[,\s]+", proxies.get("no", "").strip(", "))
    if "*" in entries:
        os.environ.update(NO_PROXY="*", no_proxy="*")
        return
    if not proxies.keys() & {*_SCHEMES, "no"}:
        return
    for scheme in _SCHEMES:
        if scheme in proxies:
            _check_proxy(_variable(scheme), proxies[scheme])
    networks = [network for entry in entries if (network := _network(entry))]
    addresses = dict.fromkeys(addresses)
    direct = [host for host in map(_host, addresses) if _is_direct(host, networks)]
    readable = [text for entry in entries if (text := _for_httpx(entry))]
    written = ",".join(dict.fromkeys([*readable, *_LOOPBACK, *direct]))
    os.environ.update(NO_PROXY=written, no_proxy=written)
    for address in addresses:
        if variable := proxy_variable(address):
            log.info("Connections to %s use the proxy of %s", _host(address), variable)


def proxy_variable(address: str) -> str:
    """The variable whose proxy leads to an address; "" if the connection is direct."""
    proxies = getproxies_environment()
    for scheme in (address.partition(":")[0].lower(), "all"):
        if scheme in proxies:
            bypassed = proxy_bypass(_host(address))
            return "" if bypassed else _variable(scheme)
    return ""


def proxy_advice(address: str) -> str:
    """What to add to the error of a connection: the proxy's variable; "" if it was direct."""
    variable = proxy_variable(address)
    return f" It is reached through the proxy of {variable}; NO_PROXY avoids it." * bool(variable)


def with_scheme(proxy: str) -> str:
    """A proxy's address, which may be given without its scheme, as httpx requires it."""
    return proxy if "://" in proxy else f"http://{proxy}"


def _host(address: str) -> str:
    """The host of an address; "" for an invalid one, which is reported when it is used."""
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


def _variable(scheme: str) -> str:
    name = f"{scheme}_proxy"
    return name if os.environ.get(name) else name.upper()


def _check_proxy(variable: str, value: str) -> None:
    import httpx

    try:
        url = httpx.Proxy(with_scheme(value)).url
        url.host.encode("idna")  # as a lookup of the name does
        is_valid = bool(url.host) and (url.port or 0) < 65536
    except (ValueError, httpx.InvalidURL):
        is_valid = False
    if not is_valid:
        raise SettingsError(
            f"{variable}: must be the address of a proxy, such as http://host:3128 or "
            "socks5://host:1080. Correct it, or unset it."
        )
    if url.scheme.startswith("socks") and not find_spec("socksio"):
        raise SettingsError(
            f"{variable}: a SOCKS proxy needs a package: pip install socksio. Install it, or unset "
            "the variable."
        )


def _network(entry: str) -> Network | None:
    """The address or network of an entry, which may have brackets and a port; None for a name."""
    if found := _BRACKETS.fullmatch(entry):
        entry = found[1] + (found[2] or "")
    try:
        return ipaddress.ip_network(
            _PORT_OF_IPV4.sub("", entry) if "." in entry else entry, strict=False
        )
    except ValueError:
        return None


def _is_direct(host: str, networks: Iterable[Network]) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return bool(host) and "." not in host
    is_own = address.is_loopback or address.is_unspecified
    return is_own or any(address in network for network in networks)


def _for_httpx(entry: str) -> str:
    """An entry as httpx reads it; "" for a network that it cannot read.

    Raises:
        SettingsError: it is neither a name, nor an address, nor a network.
    """
    import httpx

    if network := _network(entry):
        if network.num_addresses == 1:
            return str(network.network_address)
        return str(network) if network.version == 4 else ""
    name = entry.removeprefix("*") if entry.startswith("*.") else entry
    try:
        httpx.URL(name if "://" in name else f"all://*{name}")
    except httpx.InvalidURL:
        raise SettingsError(
            f"{_variable('no')}: {entry!a} is neither a host name, nor an address, nor a network "
            "such as 10.0.0.0/8. Correct it, or remove it."
        ) from None
    return name
