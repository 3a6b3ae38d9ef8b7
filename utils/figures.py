"""What the measuring commands share: facts of the machine, tables, and report files."""

import math
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from utils.errors import DocsQAError
from utils.interrupts import INTERRUPTED
from utils.settings import PROJECT_ROOT

MIB = 2**20
_PACKAGES = ("torch", "openvino", "chromadb", "sentence-transformers", "langchain-chroma")


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of all values does not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def machine_facts() -> dict[str, Any]:
    """What the figures depend on; no host names or paths."""
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in _PACKAGES},
    }


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor() or platform.machine())


def run_measurement(measure: Callable[[], None]) -> int:
    """Run a measuring command; returns its status: 0, 130 if interrupted, 1 after an error.

    An error is printed as one line on stderr.
    """
    try:
        measure()
    except (DocsQAError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted; nothing was written.\n")
        return INTERRUPTED
    return 0


def print_progress(line: str) -> None:
    """Print a line on stderr."""
    sys.stderr.write(f"{line}\n")


def now() -> str:
    """The time in UTC, as the reports show it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def aligned_table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as text with aligned columns: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if at else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def write_report(
    path: Path, title: str, module: str, argv: Sequence[str], sections: Iterable[str]
) -> None:
    """Write figures as a markdown file, with the command, date, commit and machine.

    Args:
        path: The file.
        title: Its heading.
        module: The module that ran, such as "utils.evaluation".
        argv: The options it was called with; absolute paths are cut to their last part.
        sections: The body, as markdown.
    """
    facts = machine_facts()
    versions = ", ".join(f"{name} {number}" for name, number in facts["versions"].items())
    options = [Path(each).name if Path(each).is_absolute() else each for each in argv]
    command = shlex.join(["python", "-m", module, *options])
    about = (
        f"Written by `{command}`; do not edit.\n\n"
        f"- {now()}, commit {_commit()}\n"
        f"- {facts['cpu']}, {facts['cores']} cores, {facts['system']}; "
        f"load average at the end: {os.getloadavg()[0]:.1f}\n"
        f"- Python {facts['python']}, {versions}"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n\n".join([f"# {title}", about, *sections]) + "\n", encoding="utf-8")


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(  # noqa: S603  # no input from outside
            command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()
