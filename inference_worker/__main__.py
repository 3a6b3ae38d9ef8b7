"""Starts the service: python -m inference_worker [--host H] [--port P]."""

from utils.interrupts import exit_quietly, handle_exit_signals

if __name__ == "__main__":
    handle_exit_signals(exit_quietly)

import argparse
import logging
import socket
import sys
from types import FrameType

from inference_worker.logs.configuration import begin_logs, configure_logs
from utils.errors import DocsQAError, SettingsError
from utils.settings import VERSION, load_settings, setting_default

_SWITCH_SECONDS = 0.001
_NOT_STARTED = 3
"""Exit code of uvicorn's own command when the app does not start."""


def main(argv: list[str] | None = None) -> int:
    """Serve until stopped by a signal; 1, with one line of explanation, if that is impossible."""
    arguments = _parse_arguments(argv)
    begin_logs()
    try:
        settings = load_settings(host=arguments.host, port=arguments.port)
        configure_logs(settings)
        # Before the model and the index are loaded: a port in use is reported at once.
        sockets = _bind(settings.host, settings.port)
        if arguments.check:
            return 0
        from inference_worker.app import create_app

        app = create_app(settings)
    except DocsQAError as error:
        sys.stderr.write(f"{error}\n")
        return 1

    # Search threads would otherwise delay the event loop, which serves all streams, by 5 ms at
    # each of its iterations.
    sys.setswitchinterval(_SWITCH_SECONDS)

    from inference_worker.http.server.limited_server import limited_server

    server = limited_server(app, settings)

    def stop(number: int, frame: FrameType | None) -> None:
        # The server handles signals itself, and raises them again when it has shut down.
        if server.should_exit:
            sys.exit(0)
        exit_quietly(number, frame)

    handle_exit_signals(stop)
    host, port = sockets[0].getsockname()[:2]
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    logging.info("Starting on http://%s (Ctrl-C to stop)", address)
    server.run(sockets)
    return 0 if server.started else _NOT_STARTED


def _parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m inference_worker", description=__doc__)
    parser.add_argument("--host", help=f"address to listen on ({setting_default('host')})")
    parser.add_argument("--port", type=int, help=f"port to listen on ({setting_default('port')})")
    parser.add_argument(
        "--check", action="store_true", help="check the settings and the port, and exit"
    )
    parser.add_argument("--version", action="version", version=f"sagemaker-docs-qa {VERSION}")
    return parser.parse_args(argv)


def _bind(host: str, port: int) -> list[socket.socket]:
    """Bind a socket to each address of the host; 0 takes any free port.

    Raises:
        SettingsError: the address cannot be used.
    """
    sockets = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(
            socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        ):
            listener = socket.socket(family, kind, protocol)
            sockets.append(listener)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind(address)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise SettingsError(
            f"Cannot listen on {host}, port {port}: {reason}. Choose others with --host and "
            "--port, or the settings HOST and PORT (make run PORT=...)."
        ) from error
    return sockets


if __name__ == "__main__":
    sys.exit(main())
