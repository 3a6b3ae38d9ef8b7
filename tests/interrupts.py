"""Ctrl-C for child processes, also where the tests themselves run in the background."""

import signal


def interruptible() -> None:
    """Undo what a shell does to a command in the background: it starts it deaf to Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
