"""Asks a service whether it is well, for containers without curl: python -m ...health URL."""

import sys
import urllib.request

_TIMEOUT = 4.0
"""Seconds; under what the engine allows a health check."""


def main(argv: list[str]) -> int:
    """Ask; 0 when the answer is good, 1 with one line when it is not."""
    (url,) = argv
    try:
        # Past any proxy that the engine hands its containers: the service is right here.
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(url, timeout=_TIMEOUT):
            return 0
    except OSError as error:
        sys.stderr.write(f"{url}: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
