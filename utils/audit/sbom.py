"""Writes a CycloneDX SBOM of the environment, which states what of it ships."""

import json
import subprocess
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from utils.audit.requirements import read_pins
from utils.errors import DocsQAError

_NOT_SHIPPED = {"requirements-adapt.txt": "optional", "requirements-dev.txt": "excluded"}


def write_sbom(tool: Path, python: Path, root: Path, output: Path) -> int:
    """Write the components of an environment and how they depend on each other; returns how many.

    Args:
        tool: The program cyclonedx-py.
        python: The environment's interpreter.
        root: The folder with the requirements and pyproject.toml.
        output: The JSON file to write.

    Raises:
        DocsQAError: cyclonedx-py is missing or failed.
    """
    project = str(root / "pyproject.toml")
    command = [str(tool), "environment", "--output-reproducible", "--pyproject", project]
    # Validating what the tool itself made takes most of a minute.
    command += ["--no-validate", str(python)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    except FileNotFoundError as error:
        raise DocsQAError("cyclonedx-py is not installed. Run: make audit") from error
    if done.returncode:
        raise DocsQAError(f"No SBOM was written: cyclonedx-py failed. {done.stderr.strip()}")
    bom = json.loads(done.stdout)
    mark_scopes(bom["components"], root)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(bom, indent=2) + "\n", encoding="utf-8")
    return len(bom["components"])


def mark_scopes(components: list[dict[str, Any]], root: Path) -> None:
    """Set the scope of each component that the images do not contain; the default is `required`."""
    scopes = {
        pin.name: scope for file, scope in _NOT_SHIPPED.items() for pin in read_pins(root / file)
    }
    for each in components:
        if scope := scopes.get(canonicalize_name(each["name"])):
            each["scope"] = scope
