"""Ctrl-C for child processes, even if the tests run in the background."""

import signal


def interruptible() -> None:
    """Restore the default SIGINT handler, since shells make background commands ignore SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
