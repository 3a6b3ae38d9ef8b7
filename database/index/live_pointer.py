"""The pointer: which collection is live, as the metadata of a small collection stores it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from database.index.fingerprint import InPlaceChange


@dataclass(frozen=True, slots=True)
class LivePointer:
    """Names the live collection and its revision."""

    name: str
    previous: str
    """The previously live collection, kept for rollback; "" for none."""
    revision: int
    """Incremented by every change that readers must see."""
    since: int
    """The revision at which this collection went live; later revisions changed it in place."""
    folder_since: int = 0
    """Builds ignore API changes up to this revision: the folder is authoritative again."""
    job: str = ""
    """The last job that changed an index in place; its entries may not be marked yet."""
    job_revision: int = 0
    """The revision which that job made."""
    previous_revision: int = 0
    """The last revision of the previous collection."""
    changed: InPlaceChange | None = None
    """The changes made in place since it went live."""

    def is_same_build(self, other: "LivePointer") -> bool:
        """True if only changes in place lie between the two.

        False after a rollback: what was changed before it is not in the restored collection.
        """
        return (self.name, self.since) == (other.name, other.since)

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> Self:
        """Read the pointer; indexes of older versions lack some fields."""
        older: dict[str, Any] = {"previous": "", "since": metadata["revision"]}
        known = {field.name for field in fields(cls)} & metadata.keys()
        return cls(
            **older | {name: metadata[name] for name in known},
            name=metadata["live"],
            changed=InPlaceChange.from_metadata(metadata),
        )

    def to_metadata(self) -> dict[str, Any]:
        """The pointer as its collection's metadata."""
        fields = asdict(self)
        changed = fields.pop("changed") or {}
        return {"live": fields.pop("name")} | fields | changed
