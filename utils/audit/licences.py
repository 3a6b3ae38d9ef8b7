"""Checks the licences of the installed packages against the policy in licences.toml."""

import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any, Self

from packaging.utils import canonicalize_name

POLICY = Path(__file__).with_name("licences.toml")
NOT_STATED = "not stated"
# AND and OR alike: which of two licences applies is decided in a review.
_OPERATORS = re.compile(r"\s+(?:AND|OR)\s+|[()]")
_CLASSIFIER = re.compile(r"License :: (?:OSI Approved :: )?(?!OSI Approved$|DFSG approved$)(.+)")


@dataclass(frozen=True)
class LicenceReview:
    """Licences that are accepted for some packages although the policy does not allow them."""

    packages: tuple[str, ...]
    """Names, or patterns such as nvidia-*."""
    licences: frozenset[str]
    reason: str

    def covers(self, package: str) -> bool:
        """Whether the review is about this package."""
        return any(fnmatch(package, pattern) for pattern in self.packages)


@dataclass(frozen=True)
class LicencePolicy:
    """The licences that packages may have."""

    allowed: frozenset[str]
    reviewed: tuple[LicenceReview, ...]

    @classmethod
    def read(cls, path: Path = POLICY) -> Self:
        """Read a policy from a TOML file."""
        data = tomllib.loads(path.read_text())
        reviewed = tuple(
            LicenceReview(tuple(each["packages"]), frozenset(each["licences"]), each["reason"])
            for each in data["reviewed"]
        )
        return cls(frozenset(data["allowed"]), reviewed)

    def accepted(self, package: str) -> frozenset[str]:
        """The licences that one package may have."""
        reviewed = (each.licences for each in self.reviewed if each.covers(package))
        return self.allowed.union(*reviewed)


def stated_licences(metadata: Any) -> set[str]:
    """The licences in a package's metadata.

    The SPDX expression is authoritative; older metadata has classifiers, or a line of free text.
    """
    if expression := metadata.get("License-Expression"):
        return {name.strip() for name in _OPERATORS.split(expression) if name.strip()}
    classifiers = map(_CLASSIFIER.fullmatch, metadata.get_all("Classifier") or [])
    if found := {match[1] for match in classifiers if match}:
        return found
    text = (metadata.get("License") or NOT_STATED).strip().splitlines()[0]
    return set(_OPERATORS.split(text))


def forbidden_licences(
    distributions: Iterable[Distribution], policy: LicencePolicy
) -> Iterator[str]:
    """A line for each package with a licence that the policy does not accept."""
    for each in distributions:
        name = canonicalize_name(each.metadata["Name"])
        if forbidden := stated_licences(each.metadata) - policy.accepted(name):
            yield (
                f"{name} {each.version}: {', '.join(sorted(forbidden))} is not accepted. "
                f"Replace the package, or review it in {POLICY.name}"
            )
