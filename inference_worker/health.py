"""Checks a service's health, for containers without curl: python -m inference_worker.health URL."""

import sys
import urllib.request

_TIMEOUT = 4.0
"""Seconds; less than the container engine allows a health check."""


def main(argv: list[str]) -> int:
    """Request the URL; 0 if the status is below 400, else 1 with one line of explanation."""
    (url,) = argv
    try:
        # Not through the proxy that the engine configures for its containers: the service is local.
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(url, timeout=_TIMEOUT):
            return 0
    except OSError as error:
        sys.stderr.write(f"{url}: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
