"""Checks the zip files that docx, pptx, xlsx and epub are, before any parser reads them.

Nothing is unpacked to disk, nested archives are not opened, and macros (`vbaProject.bin`) are not
read: of a file with macros, the text is converted.
"""

import io
import posixpath
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree import ElementTree

from dataset.conversion.error_texts import PROTECTED, shown_size, unreadable
from utils.errors import DocumentError

MAX_PARTS = 10_000
MAX_BYTES = 512 << 20
MAX_COMPRESSION_RATIO = 300
"""Unpacked size of a part by its packed size; sheets and pages reach about 60."""
_TOO_SMALL_FOR_A_BOMB = 4 << 20

_OLD_OFFICE = bytes.fromhex("d0cf11e0a1b11ae1")
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_ENCODING = re.compile(rb"""^[^<]*<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w.-]+)""")
_PLAIN_ENCODINGS = (b"utf-8", b"utf8", b"us-ascii", b"ascii", b"iso-8859-1", b"utf-16")
_ODD_XML = "contains XML with a document type or an odd encoding; save it again with Office"
_PLAIN_DOCTYPE = re.compile(rb"""<!DOCTYPE\s(?:[^\[<>"']|"[^"]*"|'[^']*')*>""")
"""A document type that declares nothing itself; what it refers to is never fetched."""
_STRICT = re.compile(r"\{http://purl\.oclc\.org/ooxml/(\w+)/")
_RELATIONSHIP = "{http://schemas.openxmlformats.org/package/2006/relationships}Relationship"


@dataclass(frozen=True, slots=True)
class Relationship:
    """A reference from one part of an Office file to another, or to an address outside."""

    kind: str
    """The last segment of its type: `slide`, `hyperlink`, `image`."""
    target: str
    """The part's name, or the address outside."""
    external: bool


class ZipContainer:
    """The parts of a checked zip file."""

    def __init__(self, content: bytes, format_name: str) -> None:
        """Open and check a file.

        Raises:
            DocumentError: it is no zip file, protected, or hostile.
        """
        self._format = format_name
        if content.startswith(_OLD_OFFICE):
            old = "is in the old Office format; save it in the new one (docx, pptx, xlsx)"
            raise DocumentError(PROTECTED if _ENCRYPTED in content else old)
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(content))
        except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
            raise DocumentError(unreadable(format_name)) from error
        _check(self._zip.infolist())
        self.names = frozenset(self._zip.namelist())

    def read(self, name: str) -> bytes:
        """A part's bytes.

        Raises:
            DocumentError: it is missing or damaged.
        """
        try:
            return self._zip.read(name)
        except Exception as error:  # zipfile lets zlib's and others' errors through
            raise DocumentError(unreadable(self._format)) from error

    def check_xml(self) -> None:
        """Refuse a document type, and with it every entity, in any XML part.

        The Office standard forbids them, but not every parser does.
        """
        for name in self.names:
            if name.lower().endswith((".xml", ".rels", ".vml")):
                self._checked_xml(name)

    def _checked_xml(self, name: str) -> bytes:
        content = self.read(name)
        if self._format == "epub":  # Office never writes a document type
            content = _PLAIN_DOCTYPE.sub(b"", content, count=1)
        letters = content.replace(b"\0", b"")  # UTF-16 has one beside each
        encoding = _ENCODING.match(letters[:400])
        odd = encoding is not None and encoding[1].lower() not in _PLAIN_ENCODINGS
        if odd or b"<!DOCTYPE" in letters:
            raise DocumentError(_ODD_XML)
        return content

    def xml(self, name: str) -> ElementTree.Element:
        """Parse a part as XML, without document type or entities.

        The namespaces of Strict Open XML become those that Office writes by default.

        Raises:
            DocumentError: it is missing, or no XML.
        """
        try:
            root = ElementTree.fromstring(self._checked_xml(name))  # noqa: S314 (no DTD is let in)
        except (ElementTree.ParseError, ValueError, LookupError) as error:
            raise DocumentError(unreadable(self._format)) from error
        if _STRICT.match(root.tag):
            for element in root.iter():
                element.tag = _transitional(element.tag)
                element.attrib = {_transitional(key): at for key, at in element.attrib.items()}
        return root

    def xml_with(self, changes: Mapping[str, bytes]) -> bytes:
        """A file of the XML parts alone, some with other content."""
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as changed:
            for name in self.names:
                if name in changes or name.endswith((".xml", ".rels")):
                    changed.writestr(name, changes[name] if name in changes else self.read(name))
        return packed.getvalue()

    def relationships(self, name: str) -> dict[str, Relationship]:
        """The references of a part ("" for the whole file), by the ids that it uses."""
        folder, part = posixpath.split(name)
        at = posixpath.join(folder, "_rels", f"{part}.rels")
        if at not in self.names:
            return {}
        found: dict[str, Relationship] = {}
        for element in self.xml(at).iter(_RELATIONSHIP):
            external = element.get("TargetMode") == "External"
            target = element.get("Target", "")
            if not external:
                target = posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/")
            kind = element.get("Type", "").rpartition("/")[2]
            found[element.get("Id", "")] = Relationship(kind, target, external)
        return found


def _transitional(name: str) -> str:
    return _STRICT.sub(r"{http://schemas.openxmlformats.org/\1/2006/", name)


def _check(parts: list[zipfile.ZipInfo]) -> None:
    if len(parts) > MAX_PARTS:
        raise DocumentError(f"contains more than {MAX_PARTS:,} parts")
    if len({part.filename for part in parts}) < len(parts):
        raise DocumentError("contains two parts of the same name")
    if sum(part.file_size for part in parts) > MAX_BYTES:
        raise DocumentError(f"unpacks to more than {shown_size(MAX_BYTES)}")
    for part in parts:
        name = part.filename
        if name.startswith("/") or "\\" in name or ":" in name or ".." in name.split("/"):
            raise DocumentError("contains a part with an unsafe name")
        if part.flag_bits & 0x1:
            raise DocumentError(PROTECTED)
        if part.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise DocumentError("uses a compression method that Office files do not")
        if part.file_size > max(_TOO_SMALL_FOR_A_BOMB, MAX_COMPRESSION_RATIO * part.compress_size):
            raise DocumentError(
                f"contains a part that unpacks to over {MAX_COMPRESSION_RATIO} times its size"
            )
