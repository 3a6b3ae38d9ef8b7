"""What is held of a page between runs."""

from dataclasses import dataclass

from dataset.web.http.responses import Validators

COLUMNS = "url, asked, final, file, answered, etag, modified, content, written, version, checked"


@dataclass(frozen=True, slots=True)
class PageRecord:
    """What is held of a page; "" for what is not."""

    url: str
    """As the lists name it, in its normal spelling."""
    asked: str
    """The address that was asked for it last, which may be that of another form of it."""
    final: str
    """Where a person reads it: the address after redirects."""
    file: str | None
    """Below the web folder; None if there is none yet, or another page's stands for it."""
    answered: str
    """The address that gave it."""
    etag: str
    modified: str
    content: str
    """Hash of what makes it this page."""
    written: str
    """Hash of the file's bytes."""
    version: str
    """Of the conversion."""
    checked: str
    """When its host last said that this is what it is (ISO 8601, UTC)."""

    @property
    def validators(self) -> Validators:
        """What its host can be asked with."""
        return Validators(self.answered, self.etag, self.modified)
