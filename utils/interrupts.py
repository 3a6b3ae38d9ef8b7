"""Ends a command on Ctrl-C or `docker stop` with status 130 and without a traceback.

A command calls `exit_on_interrupt` before its other imports, which take a second, and runs its main
function with `run_command`.
"""

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

INTERRUPTED = 130
"""128 + SIGINT, as a shell reports it."""
_LINE = "Interrupted. Run it again to continue where it stopped.\n"
_IMPORTING = "<frozen importlib._bootstrap>"


def exit_on_interrupt() -> None:
    """Exit at once on SIGINT or SIGTERM: nothing that needs closing is open yet.

    SIGTERM needs a handler too: the kernel drops it for a container's first process otherwise.
    """
    handle_exit_signals(_exit_now)


def run_command(main: Callable[[], int]) -> NoReturn:
    """Run a command's main function and exit with its status, or 130 if it is interrupted."""
    received = False

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        nonlocal received
        received = True
        if _is_importing(frame):
            _exit_now(number, frame)
        raise KeyboardInterrupt

    handle_exit_signals(interrupt)
    try:
        status = main()
    except BaseException as error:
        # Libraries turn a KeyboardInterrupt into errors of their own.
        if not received and not isinstance(error, KeyboardInterrupt):
            raise
        received, status = True, INTERRUPTED
    handle_exit_signals(_exit_now)
    if received and status:
        status = INTERRUPTED
        sys.stderr.write(_LINE)
    sys.exit(status)


def exit_quietly(number: int, frame: FrameType | None) -> NoReturn:
    """Exit at once without a message; with status 0 on SIGTERM, which stops a service."""
    os._exit(0 if number == signal.SIGTERM else 128 + number)


def handle_exit_signals(handler: Callable[[int, FrameType | None], object]) -> None:
    """Handle SIGINT and SIGTERM."""
    for number in (signal.SIGINT, signal.SIGTERM):
        # A shell makes a background process ignore SIGINT; leave that as it is.
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)


def _exit_now(number: int, frame: FrameType | None) -> NoReturn:
    os.write(2, _LINE.encode())
    os._exit(INTERRUPTED)


def _is_importing(frame: FrameType | None) -> bool:
    """Return whether an import is in progress: C extensions drop exceptions while they load."""
    while frame and frame.f_code.co_filename != _IMPORTING:
        frame = frame.f_back
    return frame is not None
