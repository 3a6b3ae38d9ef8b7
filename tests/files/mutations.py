"""Damages files: bits flipped, ends cut off, pieces of others spliced in, numbers made extreme."""

import io
import re
import zipfile
from collections.abc import Callable, Sequence
from random import Random

from tests.files.hostile import repacked

Mutation = Callable[[bytes, bytes, Random], bytes]
"""Changes the first file, with what it needs of the second."""
_NUMBER = re.compile(rb"\d+")
_NUMBERS = (b"0", b"-1", b"1e309", b"65536", b"4294967295", b"99999999999999999999", b"0.0000001")
_PIECE = re.compile(rb"<[^<>]*>|\w+|\s+|[^\w\s]")
_MARKS = (
    b"\0",
    b"\xff",
    b"\xed\xa0\x80",
    b"\x1b[",
    b"<",
    b"&#0;",
    b"]]>",
    b"|",
    b"```\n",
    b"\\",
    b"\r",
)
_MAX_FLIPS = 16
_MAX_REPEATS = 300
_MAX_BYTES = 1 << 14
"""Of what is repeated: a damaged file must not be slow for its size alone."""


def _flip_bits(content: bytes, _: bytes, random: Random) -> bytes:
    changed = bytearray(content)
    for _flip in range(random.randint(1, _MAX_FLIPS)):
        changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def _truncate(content: bytes, _: bytes, random: Random) -> bytes:
    return content[: random.randrange(len(content))]


def _splice(content: bytes, other: bytes, random: Random) -> bytes:
    start, end = _range(content, random)
    first, last = _range(other, random)
    return content[:start] + other[first:last] + content[end:]


def _insert(content: bytes, _: bytes, random: Random) -> bytes:
    at = random.randrange(len(content))
    return content[:at] + random.choice(_MARKS) * random.randint(1, 3) + content[at:]


def _change_number(content: bytes, _: bytes, random: Random) -> bytes:
    if not (found := list(_NUMBER.finditer(content))):
        return content
    start, end = random.choice(found).span()
    return content[:start] + random.choice(_NUMBERS) + content[end:]


def _repeat(content: bytes, _: bytes, random: Random) -> bytes:
    pieces = _PIECE.findall(content)
    start, end = _range(pieces, random)
    repeated = b"".join(pieces[start:end])
    times = min(random.randint(2, _MAX_REPEATS), _MAX_BYTES // (len(repeated) + 1))
    return b"".join((*pieces[:start], repeated * times, *pieces[end:]))


def _move(content: bytes, _: bytes, random: Random) -> bytes:
    pieces = _PIECE.findall(content)
    start, end = _range(pieces, random)
    moved, rest = pieces[start:end], pieces[:start] + pieces[end:]
    at = random.randrange(len(rest) + 1)
    return b"".join((*rest[:at], *moved, *rest[at:]))


_MUTATIONS: tuple[Mutation, ...] = (
    _flip_bits, _truncate, _splice, _insert, _change_number, _repeat, _move,
)  # fmt: skip


def _range(content: Sequence[object], random: Random) -> tuple[int, int]:
    """The place of a piece; most are short."""
    start = random.randrange(len(content) + 1)
    return start, min(start + int(len(content) ** random.random()), len(content))


def mutated(files: Sequence[bytes], random: Random) -> bytes:
    """One of some files, damaged; a zip container most often in one of its parts."""
    content, other = random.choice(files), random.choice(files)
    if content.startswith(b"PK") and random.random() < 0.8:
        parts, others = _parts(content), _parts(other)
        name = random.choices(list(parts), weights=[len(part) for part in parts.values()])[0]
        return repacked(
            content, {name: _damaged(parts[name], others.get(name, parts[name]), random)}
        )
    return _damaged(content, other, random)


def _parts(package: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(package)) as parts:
        return {name: part for name in parts.namelist() if (part := parts.read(name))}


def _damaged(content: bytes, other: bytes, random: Random) -> bytes:
    for mutate in random.choices(_MUTATIONS, k=random.choice((1, 1, 1, 2, 4))):
        content = mutate(content, other, random) or content
    return content
