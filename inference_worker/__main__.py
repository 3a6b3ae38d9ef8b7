"""Starts the service: python -m inference_worker [--host H] [--port P]."""

import argparse
import logging
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

from utils.errors import DocsQAError
from utils.settings import load_settings

_SWITCH_SECONDS = 0.001
_NOT_STARTED = 3
"""As uvicorn's own command has it."""


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

    config = uvicorn.Config(
        app,
        host=arguments.host or settings.host,
        port=settings.port if arguments.port is None else arguments.port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=settings.shutdown_seconds,
    )
    server = uvicorn.Server(config)

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        # The server listens to signals itself, and when it has closed all it raises them again.
        if server.should_exit:
            sys.exit(0)
        _end_at_once(number, frame)

    _on_signal(stop)
    server.run()
    return 0 if server.started else _NOT_STARTED


def _on_signal(handler: Callable[[int, FrameType | None], NoReturn]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        # A shell starts what is to run in the background deaf to Ctrl-C.
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)


def _end_at_once(number: int, frame: FrameType | None) -> NoReturn:
    """End while nothing is open yet.

    An exception might be lost: while modules are loaded C calls Python, and drops what it raises.
    """
    os._exit(0 if number == signal.SIGTERM else 128 + number)


if __name__ == "__main__":
    # Before the server listens itself: as a container's first process it would be deaf.
    _on_signal(_end_at_once)
    sys.exit(main())
