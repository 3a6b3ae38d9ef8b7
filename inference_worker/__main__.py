"""Starts the service: python -m inference_worker [--host H] [--port P]."""

import argparse
import logging
import signal
import sys

from utils.errors import DocsQAError
from utils.settings import load_settings

_SWITCH_SECONDS = 0.001


def main(argv: list[str] | None = None) -> int:
    """Serve until told to stop; 1 with one line where the settings cannot make a service."""
    parser = argparse.ArgumentParser(prog="python -m inference_worker", description=__doc__)
    parser.add_argument("--host", help="address to listen on (default: HOST)")
    parser.add_argument("--port", type=int, help="port to listen on (default: PORT)")
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    for talkative in ("httpx", "httpx2", "mcp"):
        logging.getLogger(talkative).setLevel(logging.WARNING)
    try:
        settings = load_settings()
        from inference_worker.app import create_app

        app = create_app(settings)
    except DocsQAError as error:
        sys.stderr.write(f"{error}\n")
        return 1

    # Threads that search would otherwise keep the loop, which serves all streams, waiting 5 ms at
    # each of its turns.
    sys.setswitchinterval(_SWITCH_SECONDS)

    import uvicorn

    uvicorn.run(
        app,
        host=arguments.host or settings.host,
        port=settings.port if arguments.port is None else arguments.port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=settings.shutdown_seconds,
    )
    return 0


if __name__ == "__main__":
    # Before the service listens to it itself: as a container's first process it would be deaf.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    sys.exit(main())
