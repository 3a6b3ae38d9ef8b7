"""Hostile files: bombs, external entities, macros, encryption."""

import io
import zipfile
import zlib

from tests.files.office import docx_of, pptx_of, xlsx_of

MIB = 1 << 20


def repacked(
    package: bytes, changes: dict[str, bytes], *, compression: int = zipfile.ZIP_DEFLATED
) -> bytes:
    """Add parts to an Office file, or replace those of the same name."""
    packed = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(package)) as old,
        zipfile.ZipFile(packed, "w", compression) as new,
    ):
        for name in old.namelist():
            if name not in changes:
                new.writestr(name, old.read(name))
        for name, content in changes.items():
            new.writestr(name, content)
    return packed.getvalue()


def part_of(package: bytes, name: str) -> bytes:
    """Read a part of an Office file."""
    with zipfile.ZipFile(io.BytesIO(package)) as parts:
        return parts.read(name)


def claimed_bomb(claimed: int = 10 << 30) -> bytes:
    """A docx whose directory claims a part of `claimed` bytes."""
    package = repacked(docx_of("harmless"), {"word/media/zeros.bin": bytes(1000)})
    at = package.index(b"PK\x01\x02")
    while package[at + 46 : at + 46 + 20] != b"word/media/zeros.bin":
        at = package.index(b"PK\x01\x02", at + 1)
    size = min(claimed, 0xFFFFFFFE).to_bytes(4, "little")
    return package[: at + 24] + size + package[at + 28 :]


def nested_bomb() -> bytes:
    """An archive in an archive, ten levels deep, inside a docx."""
    inner = zlib.compress(bytes(MIB))
    for _ in range(10):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for copy in range(10):
                archive.writestr(f"{copy}.zip", inner)
        inner = packed.getvalue()[:MIB]
    return repacked(docx_of("Harmless words."), {"word/embeddings/inner.zip": inner})


def with_entity(target: str) -> bytes:
    """A docx whose text is an external entity."""
    package = docx_of("SECRET")
    document = part_of(package, "word/document.xml")
    head, body = document.split(b"?>", 1)
    entity = f'?>\n<!DOCTYPE w [<!ENTITY secret SYSTEM "{target}">]>'.encode()
    return repacked(
        package, {"word/document.xml": head + entity + body.replace(b"SECRET", b"&secret;")}
    )


def billion_laughs() -> bytes:
    """An xlsx whose strings expand to ten to the ninth copies."""
    package = xlsx_of([["laugh"]])
    name = "xl/workbook.xml"
    document = part_of(package, name).decode()
    entities = "".join(f'<!ENTITY l{level + 1} "{f"&l{level};" * 10}">' for level in range(9))
    doctype = f'<!DOCTYPE lolz [<!ENTITY l0 "lol">{entities}]>'
    at = document.index("<workbook")
    changed = document[:at] + doctype + document[at:].replace('name="Sheet', 'name="&l9;')
    return repacked(package, {name: changed.encode()})


def with_macro() -> bytes:
    """A docx made from a docm: it contains Visual Basic."""
    return repacked(docx_of("Words beside a macro."), {"word/vbaProject.bin": bytes(1000)})


def with_external_image(target: str) -> bytes:
    """A pptx with an external picture."""
    package = pptx_of("A slide", ["Words beside a picture."])
    name = "ppt/slides/_rels/slide1.xml.rels"
    relation = (
        '<Relationship Id="rId99" TargetMode="External" Target="' + target + '" Type="http://'
        'schemas.openxmlformats.org/officeDocument/2006/relationships/image"/></Relationships>'
    )
    relations = part_of(package, name).replace(b"</Relationships>", relation.encode())
    picture = (
        b'<p:pic><p:nvPicPr><p:cNvPr id="9" name="x" descr="A crane"/><p:cNvPicPr/><p:nvPr/>'
        b'</p:nvPicPr><p:blipFill><a:blip r:link="rId99"/></p:blipFill><p:spPr/></p:pic></p:spTree>'
    )
    slide = part_of(package, "ppt/slides/slide1.xml").replace(b"</p:spTree>", picture)
    return repacked(package, {name: relations, "ppt/slides/slide1.xml": slide})


def encrypted_entries(package: bytes) -> bytes:
    """The same file with the encryption flag set on every part."""
    changed = bytearray(package)
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = package.find(mark)
        while at >= 0:
            changed[at + offset] |= 1
            at = package.find(mark, at + 1)
    return bytes(changed)


def encrypted_office() -> bytes:
    """An Office file with a password: an OLE container instead of a zip file."""
    return (
        bytes.fromhex("d0cf11e0a1b11ae1") + bytes(600) + "EncryptedPackage".encode("utf-16-le")
    ).ljust(4096, b"\0")


def far_cell() -> bytes:
    """An xlsx with a value in its first cell and one in its very last."""
    package = xlsx_of([["near"]])
    name = "xl/worksheets/sheet1.xml"
    sheet = part_of(package, name).replace(
        b"</sheetData>", b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>'
    )
    return repacked(package, {name: sheet})
