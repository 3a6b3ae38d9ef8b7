"""Asks a service whether it is well, for containers without curl: python -m ...health URL."""

import sys
import urllib.request

_TIMEOUT = 4.0
"""Seconds; under what the engine allows a health check."""


def main(argv: list[str]) -> int:
    """Ask; 0 when the answer is good, 1 with one line when it is not."""
    (url,) = argv
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT):  # noqa: S310  # the operator's own
            return 0
    except OSError as error:
        sys.stderr.write(f"{url}: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
