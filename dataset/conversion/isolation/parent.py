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
from pathlib import Path

from dataset.conversion import error_texts
from dataset.conversion.result import Converted, Limits
from dataset.web_address import is_web_address
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
                output, errors = _exchange(child, content, limits)
            finally:
                # Kill the group: a parser may have started processes where no sandbox stops it.
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(child.pid, signal.SIGKILL)
        # Check the output: native code that was taken over may write anything.
        _check_status(child.returncode, errors, format_name, limits)
        return _checked_result(output, format_name, limits)


def _start_child(
    format_name: str, limits: Limits, url: str, folder: Path
) -> subprocess.Popen[bytes]:
    # -P: nothing is imported from the current folder. -B: no bytecode is written.
    command = [sys.executable, "-P", "-B", "-s", "-m", "dataset.conversion.isolation.child"]
    allowed = map(str, (limits.seconds, limits.memory_bytes, limits.output_bytes))
    return subprocess.Popen(  # noqa: S603 (this interpreter and our own module)
        [*command, format_name, *allowed, url if _is_short_address(url) else ""],
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


def _exchange(
    child: subprocess.Popen[bytes], content: bytes, limits: Limits
) -> tuple[bytearray, bytearray]:
    """Write the file to the child, and return its output and errors.

    Raises:
        DocumentError: it takes too long, or writes too much.
    """
    deadline = time.monotonic() + limits.seconds
    most = limits.output_bytes * _JSON_OVERHEAD + _BLOCK
    output, errors = bytearray(), bytearray()
    unsent = memoryview(content)
    with selectors.DefaultSelector() as selector:
        for pipe, received in ((child.stdin, None), (child.stdout, output), (child.stderr, errors)):
            assert pipe is not None  # noqa: S101 (all three are PIPE)
            os.set_blocking(pipe.fileno(), False)
            event = selectors.EVENT_WRITE if received is None else selectors.EVENT_READ
            selector.register(pipe, event, (pipe, received))
        while selector.get_map():
            left = deadline - time.monotonic()
            if left <= 0:
                raise DocumentError(error_texts.too_slow(limits.seconds))
            if len(output) > most:
                raise DocumentError(error_texts.too_much_text(limits.output_bytes))
            for key, _ in selector.select(left):
                pipe, received = key.data
                if received is None:
                    unsent = unsent[_sent(pipe.fileno(), unsent) :]
                    ended = not unsent
                else:
                    block = os.read(pipe.fileno(), _BLOCK)
                    ended = not block
                    if received is output or len(errors) < _MAX_STDERR_BYTES:
                        received += block
                if ended:
                    selector.unregister(pipe)
                    pipe.close()
    # Wait for the end, but do not reap the child: its group can still be killed by its id.
    while os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if time.monotonic() > deadline:
            raise DocumentError(error_texts.too_slow(limits.seconds))
        time.sleep(_POLL_SECONDS)
    return output, errors


def _sent(pipe: int, unsent: memoryview) -> int:
    """Write to a pipe what it takes at once; all of it if the child closed its end, or died."""
    try:
        return os.write(pipe, unsent[:_BLOCK])
    except BlockingIOError:
        return 0
    except BrokenPipeError:
        return len(unsent)


def _check_status(status: int, errors: bytearray, format_name: str, limits: Limits) -> None:
    if status == -signal.SIGXCPU:
        raise DocumentError(error_texts.too_slow(limits.seconds))
    if status != 0 and (_OUT_OF_MEMORY.search(errors) or status == -signal.SIGKILL):
        raise DocumentError(error_texts.too_much_memory(limits.memory_bytes))
    if status < 0:
        # Native code that is refused memory ends itself with one signal or another.
        memory = error_texts.shown_size(limits.memory_bytes)
        raise DocumentError(f"{error_texts.unreadable(format_name)} within {memory} of memory")


def _checked_result(output: bytearray, format_name: str, limits: Limits) -> Converted:
    try:
        fields = json.loads(output)
    except (ValueError, RecursionError) as error:
        raise DocumentError(error_texts.unreadable(format_name)) from error
    if not isinstance(fields, dict) or not all(isinstance(part, str) for part in fields.values()):
        raise DocumentError(error_texts.unreadable(format_name))
    if refusal := fields.get("refusal"):
        raise DocumentError(_line(refusal))
    text = fields.get("text", "").replace("\0", "").encode(errors="replace")
    if len(text) > limits.output_bytes:
        raise DocumentError(error_texts.too_much_text(limits.output_bytes))
    url, changed = fields.get("url", ""), fields.get("changed", "")
    return Converted(
        text=text.decode(),
        title=_line(fields.get("title", "")),
        url=url if _is_short_address(url) else "",
        changed=changed if _DATE.fullmatch(changed) else "",
    )


def _line(text: str) -> str:
    return " ".join(text.encode(errors="replace").decode().split())[:_MAX_LINE_CHARACTERS]


def _is_short_address(url: str) -> bool:
    return len(url) <= _MAX_LINE_CHARACTERS and is_web_address(url)
