"""Reads many files of one format in one sandboxed process.

    python -m tests.dataset.conversion.reader_process FORMAT SECONDS MEMORY_BYTES OUTPUT_BYTES

The process enters the sandbox once; each file is then read by the code of the real child process,
which starts anew for each file and would take a third of a second to do so.
"""

import io
import json
import mimetypes
import select
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Self, cast

from dataset.conversion.isolation import child, sandbox
from dataset.conversion.isolation.parent import convert_in_child
from dataset.conversion.result import Converted, Limits
from utils.errors import DocumentError
from utils.settings import PROJECT_ROOT

_MODULE = "tests.dataset.conversion.reader_process"
_MAX_FILES = 1000
"""Files that a process reads before another one starts: what one leaks must not fail the next."""
_SIZE_BYTES = 4


class ReaderProcess:
    """A process that reads files of a format, restarted when one of them ends it."""

    def __init__(self, format_name: str, limits: Limits, folder: Path) -> None:
        self._format, self._limits, self._folder = format_name, limits, folder
        self._child: subprocess.Popen[bytes] | None = None
        self._left = 0

    @property
    def pid(self) -> int | None:
        """The id of the process; None while none runs."""
        return self._child.pid if self._child else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def convert(self, content: bytes, format_name: str, limits: Limits, *, url: str) -> Converted:
        """Stand in for `convert_in_child`, which reads a file that ends this process."""
        answer = self.read(content)
        if answer is None:
            return convert_in_child(content, format_name, limits, url=url)
        if "refusal" in answer:
            raise DocumentError(answer["refusal"])
        return Converted(**answer)

    def read(self, content: bytes) -> dict[str, str] | None:
        """What the child process answers; None if it ended, or exceeded the time limit."""
        if not self._child or not self._left:
            self.close()
            self._child, self._left = self._start(), _MAX_FILES
        self._left -= 1
        stdin, stdout = self._child.stdin, self._child.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(len(content).to_bytes(_SIZE_BYTES) + content)
        stdin.flush()
        answered, _, _ = select.select([stdout], [], [], self._limits.seconds)
        line = stdout.readline() if answered else b""
        if line.endswith(b"\n"):
            return cast(dict[str, str], json.loads(line))
        self.close()
        return None

    def close(self) -> None:
        """End the process."""
        if self._child:
            self._child.kill()
            self._child.communicate()
            self._child = None

    def _start(self) -> subprocess.Popen[bytes]:
        limits = self._limits
        allowed = (limits.seconds * _MAX_FILES, limits.memory_bytes, limits.output_bytes)
        return subprocess.Popen(
            [
                sys.executable,
                "-P",
                "-B",
                "-s",
                "-m",
                __spec__.name,
                self._format,
                *map(str, allowed),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=self._folder,
            env={"PYTHONPATH": str(PROJECT_ROOT), "PYTHONUTF8": "1", "LANG": "C.UTF-8"},
        )


def _serve(format_name: str, seconds: float, memory_bytes: int, output_bytes: int) -> None:
    mimetypes.init()
    sandbox.enter(seconds, memory_bytes, PROJECT_ROOT)
    # What the child process does once, before it reads its file.
    mimetypes.init = lambda *_: None
    sandbox.enter = lambda *_: None
    source, target = sys.stdin.buffer, sys.stdout.buffer
    while size := source.read(_SIZE_BYTES):
        content = io.BytesIO(source.read(int.from_bytes(size)))
        sys.stdin = cast(io.TextIOWrapper, SimpleNamespace(buffer=content))
        answer = child.main(format_name, seconds, memory_bytes, output_bytes, "")
        target.write(answer.encode(errors="replace") + b"\n")
        target.flush()


if __name__ == "__main__":
    _, _name, _seconds, _memory, _output = sys.argv
    _serve(_name, float(_seconds), int(_memory), int(_output))
