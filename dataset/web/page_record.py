"""What is stored of a page between runs."""

from dataclasses import dataclass

from dataset.web.http.responses import Validators

COLUMNS = "url, asked, final, file, answered, etag, modified, content, written, version, checked"


@dataclass(frozen=True, slots=True)
class PageRecord:
    """The stored state of a page; "" for what is unknown."""

    url: str
    """As the lists name it, normalized."""
    asked: str
    """The address requested last, which may be another form of the page."""
    final: str
    """The address for readers, after redirects."""
    file: str | None
    """Below the web folder; None if it has none yet, or is a duplicate of another page."""
    answered: str
    """The address that responded with it."""
    etag: str
    modified: str
    content: str
    """Hash of title, address and text."""
    written: str
    """Hash of the file's bytes."""
    version: str
    """Version of the conversion."""
    checked: str
    """When its host last confirmed this content (ISO 8601, UTC)."""

    @property
    def validators(self) -> Validators:
        """The validators for a conditional request."""
        return Validators(self.answered, self.etag, self.modified)
