"""What Ctrl-C and SIGTERM do to a command that is still starting: they end it at once.

Imports nothing that is not loaded already, so that commands can install the handler first.
"""

import os
import signal
from collections.abc import Callable
from types import FrameType
from typing import NoReturn


def on_exit_signals(handler: Callable[[int, FrameType | None], object]) -> None:
    """Handle SIGINT and SIGTERM, except where the shell made a background process ignore them."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)


def exit_at_once(number: int, frame: FrameType | None) -> NoReturn:
    """End the process while it has nothing open that must be closed.

    Raising would not do: C code that imports modules drops exceptions raised in it.
    """
    os._exit(0 if number == signal.SIGTERM else 128 + number)
