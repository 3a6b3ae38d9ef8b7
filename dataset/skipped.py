"""Files of a folder that a build skips: each with its reason, and counted in one line."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath

_MAX_EXTENSIONS = 5
"""Extensions that the line lists."""


class SkipReason(StrEnum):
    """Why a file is skipped, in the order in which the reasons are counted."""

    FORMAT = "of an unsupported format"
    HIDDEN = "hidden"
    LICENCE = "licence"
    NOT_SELECTED = "left out by --include or --exclude"
    LINK = "linked to a folder that is read already"
    UNCONVERTIBLE = "cannot be converted"


@dataclass(frozen=True, slots=True)
class SkippedFile:
    """A file that is skipped, or a folder with all its files."""

    name: str
    reason: SkipReason
    detail: str = ""
    """Why it cannot be converted."""

    def __str__(self) -> str:
        return f"Skipped {printable(self.name)}: {self.detail or self.reason}"


def printable(name: str) -> str:
    """A name for one line of a terminal: a file's name may contain any byte but `/`."""
    return "".join(each if each.isprintable() else "?" for each in name)


def skipped_summary(skipped: Collection[SkippedFile]) -> str:
    """Count skipped files by reason, in one line; "" if there are none."""
    if not skipped:
        return ""
    counts = Counter(one.reason for one in skipped)
    texts = [_counted(reason, counts[reason], skipped) for reason in SkipReason if counts[reason]]
    return f"Skipped {len(skipped):,} file{'s' if len(skipped) > 1 else ''}: {', '.join(texts)}"


def _counted(reason: SkipReason, count: int, skipped: Collection[SkippedFile]) -> str:
    text = f"{count:,} {reason}"
    if reason == SkipReason.LICENCE and count > 1:
        return f"{text}s"
    if reason == SkipReason.FORMAT:
        extensions = Counter(
            PurePosixPath(one.name).suffix.lower() or "no extension"
            for one in skipped
            if one.reason == reason
        )
        names = [printable(extension) for extension, _ in extensions.most_common()]
        more = ", …" if len(names) > _MAX_EXTENSIONS else ""
        return f"{text} ({', '.join(names[:_MAX_EXTENSIONS])}{more})"
    return text
