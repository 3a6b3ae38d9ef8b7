"""Looks up the known vulnerabilities of all pinned packages with pip-audit."""

import json
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from utils.audit.requirements import Pin, read_pins
from utils.errors import DocsQAError

_RETRY = "Run make audit where https://pypi.org/pypi can be reached"


def known_vulnerabilities(tool: Path, files: list[Path]) -> Iterator[str]:
    """A line for each known vulnerability, and one if packages could not be looked up.

    Args:
        tool: The program pip-audit.
        files: Requirements files without a package in common; those that they include are not read.

    Raises:
        DocsQAError: pip-audit is missing or failed.
    """
    given = [argument for file in files for argument in ("--requirement", str(file))]
    command = [str(tool), "--disable-pip", "--format", "json", "--progress-spinner", "off", *given]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    except FileNotFoundError as error:
        raise DocsQAError("pip-audit is not installed. Run: make audit") from error
    if not done.stdout:
        cause = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        raise DocsQAError(f"Vulnerabilities are unknown: pip-audit failed ({cause}). {_RETRY}")
    yield from read_report(done.stdout, [pin for file in files for pin in read_pins(file)])


def read_report(report: str, pins: Iterable[Pin]) -> Iterator[str]:
    """The lines of `known_vulnerabilities` for a report in pip-audit's JSON format."""
    dependencies = json.loads(report)["dependencies"]
    checked = {each["name"] for each in dependencies if "skip_reason" not in each}
    unknown = sorted({pin.name for pin in pins if pin.applies} - checked)
    if unknown:
        yield (
            f"Vulnerabilities of {len(unknown)} packages are unknown, such as {unknown[0]}: "
            f"PyPI's database could not be read. {_RETRY}"
        )
    for each in dependencies:
        for found in each.get("vulns", ()):
            fixed = ", ".join(found["fix_versions"]) or "no version yet"
            yield f"{each['name']} {each['version']}: {found['id']}, fixed in {fixed}"
