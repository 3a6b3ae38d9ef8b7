"""Reads the requirements, and finds what is not pinned, hashed or locked.

`requirements*.in` are edited by hand; `make lock` writes `requirements*.txt` from them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_SHA256 = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Pin:
    """One package of a requirements file."""

    name: str
    version: str
    """"" if more than one version is allowed."""
    hashed: bool
    applies: bool
    """Whether it is installed on this system and Python."""

    @property
    def is_locked(self) -> bool:
        """Whether only the files with these hashes can be installed."""
        return bool(self.version) and self.hashed

    def __str__(self) -> str:
        return f"{self.name}=={self.version}" if self.version else self.name


def read_pins(path: Path) -> list[Pin]:
    """The packages that a file lists itself, without those of files it includes."""
    lines = path.read_text().replace("\\\n", " ").splitlines()
    return [_parse_pin(line) for line in lines if line[:1].isalnum()]


def _parse_pin(line: str) -> Pin:
    text, *hashes = re.split(r"\s+--hash=", line.strip())
    requirement = Requirement(text)
    exact = re.fullmatch(r"==([^,*]+)", str(requirement.specifier))
    return Pin(
        name=canonicalize_name(requirement.name),
        version=exact.group(1) if exact else "",
        hashed=bool(hashes) and all(map(_SHA256.fullmatch, hashes)),
        applies=requirement.marker is None or requirement.marker.evaluate(),
    )


def find_gaps(folder: Path) -> Iterator[str]:
    """A line for each package that could be installed in another version or from another file."""
    for path in sorted(folder.glob("requirements*.txt")):
        yield from (
            f"{path.name}: {pin} is not pinned to one version with hashes"
            for pin in read_pins(path)
            if not pin.is_locked
        )
        if "://" in path.read_text():
            yield f"{path.name} names an address; which index is used is the machine's setting"
    for path in sorted(folder.glob("requirements*.in")):
        lock = path.with_suffix(".txt")
        locked = {str(pin) for pin in read_pins(lock)} if lock.exists() else set()
        yield from (
            f"{lock.name}: {pin} of {path.name} is missing. Run: make lock"
            for pin in read_pins(path)
            if str(pin) not in locked
        )
