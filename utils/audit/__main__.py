"""Audits what this project installs, and writes a CycloneDX SBOM to build/sbom.json.

    python -m utils.audit

Reports packages without a hash, base images without a digest, licences that the policy does not
accept, and known vulnerabilities.
"""

import argparse
import sys
from collections.abc import Callable, Iterable
from importlib.metadata import distributions
from pathlib import Path

from utils.audit.images import unpinned_images
from utils.audit.licences import LicencePolicy, forbidden_licences
from utils.audit.requirements import find_gaps
from utils.audit.sbom import write_sbom
from utils.audit.vulnerabilities import known_vulnerabilities
from utils.errors import DocsQAError
from utils.figures import run_measurement
from utils.settings import PROJECT_ROOT

TOOLS = PROJECT_ROOT / "build" / "audit" / "bin"
SBOM = PROJECT_ROOT / "build" / "sbom.json"


def main(argv: list[str] | None = None) -> int:
    """Run all checks; 1 if one of them found something."""
    argparse.ArgumentParser(
        prog="audit", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args(argv)
    return run_measurement(_audit)


def _audit() -> None:
    """Run every check, so that one that fails does not hide the others.

    Raises:
        DocsQAError: a check found something or could not be made.
    """
    count = write_sbom(TOOLS / "cyclonedx-py", Path(sys.executable), PROJECT_ROOT, SBOM)
    print(f"SBOM: {count} components in {SBOM.relative_to(PROJECT_ROOT)}")
    passed = [
        _passes("Pins", lambda: find_gaps(PROJECT_ROOT)),
        _passes("Licences", lambda: forbidden_licences(distributions(), LicencePolicy.read())),
        _passes("Base images", lambda: unpinned_images(PROJECT_ROOT)),
        _passes("Vulnerabilities", lambda: known_vulnerabilities(TOOLS / "pip-audit", _audited())),
    ]
    if not all(passed):
        raise DocsQAError("The audit failed: see above")


def _passes(title: str, check: Callable[[], Iterable[str]]) -> bool:
    """Print what a check finds; returns whether that is nothing."""
    try:
        found = list(check())
    except DocsQAError as error:
        found = [str(error)]
    print("\n  ".join([f"{title}: {'failed' if found else 'passed'}", *found]))
    return not found


def _audited() -> list[Path]:
    """The requirements of the product and its development; PyPI knows no CPU builds of PyTorch."""
    apart = {"requirements-cpu.txt", "requirements-audit.txt"}
    return [each for each in PROJECT_ROOT.glob("requirements*.txt") if each.name not in apart]


if __name__ == "__main__":
    raise SystemExit(main())
