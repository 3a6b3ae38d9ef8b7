"""Runs the child process that converts a file, within limits on time, memory and output."""

import contextlib
import json
import os
import re
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from dataset.conversion.error_texts import (
    shown_size,
    too_much_memory,
    too_much_text,
    too_slow,
    unreadable,
)
from dataset.conversion.result import Converted, Limits
from utils.errors import DocumentError

PACKAGE_ROOT = Path(__file__).resolve().parents[3]

_BLOCK = 1 << 16
_MAX_STDERR_BYTES = 1 << 16
_JSON_OVERHEAD = 2
"""JSON escapes double the size at most, but for control characters, which no text contains."""
_OUT_OF_MEMORY = re.compile(
    rb"MemoryError|memory allocation|bad_alloc|out of memory", re.IGNORECASE
)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}:\d{2}Z)?", re.ASCII)
_MAX_LINE_CHARACTERS = 2000
_POLL_SECONDS = 0.002


def convert_in_child(content: bytes, format_name: str, limits: Limits, *, url: str) -> Converted:
    """Convert a file in a child process, and remove its process group and folder afterwards.

    Raises:
        DocumentError: the file cannot be converted, or exceeds the limits.
        OSError: the machine lacks processes or disk space; the file is not at fault.
    """
    with tempfile.TemporaryDirectory(prefix="conversion-") as folder:
        # Start the child in its own process group and an empty folder.
        with _start_child(format_name, limits, url, Path(folder)) as child:
            try:
                # Write the file to it and read its output, until it ends or exceeds a limit.
                exchange = _Exchange(child, content, limits)
                exchange.run()
            finally:
                # Kill the group: a parser may have started processes where no sandbox stops it.
                _kill_group(child)
        # Check the output: native code that was taken over may write anything.
        return _checked_result(exchange, child.returncode, format_name, limits)


def _start_child(
    format_name: str, limits: Limits, url: str, folder: Path
) -> subprocess.Popen[bytes]:
    arguments = [
        format_name,
        str(limits.seconds),
        str(limits.memory_bytes),
        str(limits.output_bytes),
        url if _is_web_address(url) else "",
    ]
    # -P: nothing is imported from the current folder. -B: no bytecode is written.
    return subprocess.Popen(  # noqa: S603 (this interpreter and our own module)
        [sys.executable, "-P", "-B", "-s", "-m", "dataset.conversion.isolation.child", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        env={
            "PYTHONPATH": str(PACKAGE_ROOT),
            "PYTHONUTF8": "1",
            "LANG": "C.UTF-8",
            "HOME": str(folder),
            "TMPDIR": str(folder),
        },
        start_new_session=True,
    )


def _has_ended(pid: int) -> bool:
    """True if a child has ended; it is not reaped, so that its group can still be killed."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _kill_group(child: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)


@dataclass(slots=True)
class _Exchange:
    """Writes the file to the child and reads its output, up to a deadline and a size."""

    child: subprocess.Popen[bytes]
    content: bytes
    limits: Limits
    output: bytearray = field(default_factory=bytearray)
    errors: bytearray = field(default_factory=bytearray)
    sent: int = 0
    late: bool = False
    too_much: bool = False

    def run(self) -> None:
        deadline = time.monotonic() + self.limits.seconds
        most = self.limits.output_bytes * _JSON_OVERHEAD + _BLOCK
        with selectors.DefaultSelector() as selector:
            for pipe, transfer, event in (
                (self.child.stdin, self._write, selectors.EVENT_WRITE),
                (self.child.stdout, self._read_output, selectors.EVENT_READ),
                (self.child.stderr, self._read_errors, selectors.EVENT_READ),
            ):
                assert pipe is not None  # noqa: S101 (all three are PIPE)
                os.set_blocking(pipe.fileno(), False)
                selector.register(pipe, event, (pipe, transfer))
            while selector.get_map():
                left = deadline - time.monotonic()
                if left <= 0 or len(self.output) > most:
                    self.late, self.too_much = left <= 0, len(self.output) > most
                    return
                for key, _ in selector.select(left):
                    pipe, transfer = key.data
                    if transfer(pipe.fileno()):
                        selector.unregister(pipe)
                        pipe.close()
        while not _has_ended(self.child.pid):
            if time.monotonic() > deadline:
                self.late = True
                return
            time.sleep(_POLL_SECONDS)

    def _write(self, pipe: int) -> bool:
        try:
            piece = memoryview(self.content)[self.sent : self.sent + _BLOCK]
            self.sent += os.write(pipe, piece)
        except BlockingIOError:
            return False
        except BrokenPipeError:  # the child refused the rest, or died
            return True
        return self.sent >= len(self.content)

    def _read_output(self, pipe: int) -> bool:
        piece = os.read(pipe, _BLOCK)
        self.output += piece
        return not piece

    def _read_errors(self, pipe: int) -> bool:
        piece = os.read(pipe, _BLOCK)
        if len(self.errors) < _MAX_STDERR_BYTES:
            self.errors += piece
        return not piece


def _checked_result(
    exchange: _Exchange, status: int, format_name: str, limits: Limits
) -> Converted:
    if exchange.late or status == -signal.SIGXCPU:
        raise DocumentError(too_slow(limits.seconds))
    if exchange.too_much:
        raise DocumentError(too_much_text(limits.output_bytes))
    out_of_memory = _OUT_OF_MEMORY.search(exchange.errors) or status == -signal.SIGKILL
    if status != 0 and out_of_memory:
        raise DocumentError(too_much_memory(limits.memory_bytes))
    if status < 0:
        # Native code that is refused memory ends itself with one signal or another.
        raise DocumentError(
            f"{unreadable(format_name)} within {shown_size(limits.memory_bytes)} of memory"
        )
    try:
        fields = json.loads(exchange.output)
    except (ValueError, RecursionError) as error:
        raise DocumentError(unreadable(format_name)) from error
    if not isinstance(fields, dict) or not all(isinstance(part, str) for part in fields.values()):
        raise DocumentError(unreadable(format_name))
    if refusal := fields.get("refusal"):
        raise DocumentError(_line(refusal))
    url, changed = fields.get("url", ""), fields.get("changed", "")
    return Converted(
        text=_checked_text(fields.get("text", ""), limits),
        title=_line(fields.get("title", "")),
        url=url if _is_web_address(url) else "",
        changed=changed if _DATE.fullmatch(changed) else "",
    )


def _checked_text(text: str, limits: Limits) -> str:
    encoded = text.replace("\0", "").encode(errors="replace")
    if len(encoded) > limits.output_bytes:
        raise DocumentError(too_much_text(limits.output_bytes))
    return encoded.decode()


def _line(text: str) -> str:
    return " ".join(text.encode(errors="replace").decode().split())[:_MAX_LINE_CHARACTERS]


def _is_web_address(url: str) -> bool:
    plain = url.isprintable() and not any(mark in url for mark in " <>\"'\\")
    return plain and len(url) <= _MAX_LINE_CHARACTERS and url.startswith(("http://", "https://"))
