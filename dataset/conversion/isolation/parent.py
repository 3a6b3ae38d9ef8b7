"""Has a child process convert a file, and ends it when it takes too much."""

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
    broke_off,
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
"""A character of text takes up to two in JSON, but for control characters, which no text has."""
_OUT_OF_MEMORY = re.compile(
    rb"MemoryError|memory allocation|bad_alloc|out of memory", re.IGNORECASE
)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}:\d{2}Z)?", re.ASCII)
_MAX_LINE_CHARACTERS = 2000
_GLANCE = 0.002


def convert_in_child(content: bytes, format_name: str, limits: Limits, *, url: str) -> Converted:
    """Convert in a process with limits, of which nothing is left afterwards.

    Raises:
        DocumentError: the file cannot be converted, or takes more than the limits.
    """
    # Processes and temporary folders are scarce when a machine is in trouble; that is no fault of
    # the file's, and an OSError is what says so.
    with tempfile.TemporaryDirectory(prefix="conversion-") as folder:
        with _started(format_name, limits, url, Path(folder)) as child:
            try:
                talk = _Talk(child, content, limits)
                talk.until_the_end()
            finally:
                _end(child)
        return _result(talk, child.returncode, format_name, limits)


def _started(format_name: str, limits: Limits, url: str, folder: Path) -> subprocess.Popen[bytes]:
    arguments = [
        format_name,
        str(limits.seconds),
        str(limits.memory_bytes),
        str(limits.output_bytes),
        url if _is_web_address(url) else "",
    ]
    # -P: a module in the current folder is never imported. -B: nothing is written.
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
    """Whether a child has ended; it keeps its number, so that its group can still be killed."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _end(child: subprocess.Popen[bytes]) -> None:
    """Kill whatever is left of the child's group; it is waited for where it was started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)


@dataclass(slots=True)
class _Talk:
    """What is written to the child and read from it, up to a moment and a size."""

    child: subprocess.Popen[bytes]
    content: bytes
    limits: Limits
    answer: bytearray = field(default_factory=bytearray)
    words: bytearray = field(default_factory=bytearray)
    sent: int = 0
    late: bool = False
    too_much: bool = False

    def until_the_end(self) -> None:
        end = time.monotonic() + self.limits.seconds
        most = self.limits.output_bytes * _JSON_OVERHEAD + _BLOCK
        with selectors.DefaultSelector() as waiting:
            for pipe, turn, event in (
                (self.child.stdin, self._write, selectors.EVENT_WRITE),
                (self.child.stdout, self._read_answer, selectors.EVENT_READ),
                (self.child.stderr, self._read_words, selectors.EVENT_READ),
            ):
                assert pipe is not None  # noqa: S101 (all three were asked for)
                os.set_blocking(pipe.fileno(), False)
                waiting.register(pipe, event, (pipe, turn))
            while waiting.get_map():
                left = end - time.monotonic()
                if left <= 0 or len(self.answer) > most:
                    self.late, self.too_much = left <= 0, len(self.answer) > most
                    return
                for key, _ in waiting.select(left):
                    pipe, turn = key.data
                    if turn(pipe.fileno()):
                        waiting.unregister(pipe)
                        pipe.close()
        while not _has_ended(self.child.pid):
            if time.monotonic() > end:
                self.late = True
                return
            time.sleep(_GLANCE)

    def _write(self, pipe: int) -> bool:
        try:
            piece = memoryview(self.content)[self.sent : self.sent + _BLOCK]
            self.sent += os.write(pipe, piece)
        except BlockingIOError:
            return False
        except BrokenPipeError:  # it has seen enough, or is dead
            return True
        return self.sent >= len(self.content)

    def _read_answer(self, pipe: int) -> bool:
        piece = os.read(pipe, _BLOCK)
        self.answer += piece
        return not piece

    def _read_words(self, pipe: int) -> bool:
        piece = os.read(pipe, _BLOCK)
        if len(self.words) < _MAX_STDERR_BYTES:
            self.words += piece
        return not piece


def _result(talk: _Talk, status: int, format_name: str, limits: Limits) -> Converted:
    if talk.late or status == -signal.SIGXCPU:
        raise DocumentError(too_slow(limits.seconds))
    if talk.too_much:
        raise DocumentError(too_much_text(limits.output_bytes))
    out_of_memory = _OUT_OF_MEMORY.search(talk.words) or status == -signal.SIGKILL
    if status != 0 and out_of_memory:
        raise DocumentError(too_much_memory(limits.memory_bytes))
    if status < 0:
        # Native code that is refused memory ends itself, in one way or another.
        raise DocumentError(broke_off(format_name, limits.memory_bytes))
    try:
        said = json.loads(talk.answer)
    except (ValueError, RecursionError) as error:
        raise DocumentError(unreadable(format_name)) from error
    if not isinstance(said, dict) or not all(isinstance(part, str) for part in said.values()):
        raise DocumentError(unreadable(format_name))
    if refusal := said.get("refusal"):
        raise DocumentError(_line(refusal))
    url, changed = said.get("url", ""), said.get("changed", "")
    return Converted(
        text=_checked(said.get("text", ""), limits),
        title=_line(said.get("title", "")),
        url=url if _is_web_address(url) else "",
        changed=changed if _DATE.fullmatch(changed) else "",
    )


def _checked(text: str, limits: Limits) -> str:
    # A parser's native code may have been taken over: what it says is held to the contract here.
    encoded = text.replace("\0", "").encode(errors="replace")
    if len(encoded) > limits.output_bytes:
        raise DocumentError(too_much_text(limits.output_bytes))
    return encoded.decode()


def _line(text: str) -> str:
    return " ".join(text.encode(errors="replace").decode().split())[:_MAX_LINE_CHARACTERS]


def _is_web_address(url: str) -> bool:
    plain = url.isprintable() and not any(mark in url for mark in " <>\"'\\")
    return plain and len(url) <= _MAX_LINE_CHARACTERS and url.startswith(("http://", "https://"))
