"""Pages that are made up for being added to an index, each with a word that no other has."""

import io
import random
import zipfile

from tests.endurance.pages import sentence

_PAGE_BYTES = 6000
_SECTION_BYTES = 750
_SYLLABLES = [first + then for first in "bdfgklmnprtvz" for then in "aiou"]

_CONTENT_TYPES = """<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>
<Override PartName="/word/document.xml"
 ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/>
</Types>"""
_RELATIONSHIPS = """<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">
<Relationship Id="rId1" Target="word/document.xml"
 Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"/>
</Relationships>"""
_DOCUMENT = """<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>
{paragraphs}</w:body></w:document>"""


def word(number: int) -> str:
    """A made-up word, another one for each number under seven million."""
    syllables = []
    for _ in range(4):
        number, at = divmod(number, len(_SYLLABLES))
        syllables.append(_SYLLABLES[at])
    return "zo" + "".join(syllables)


def markdown_page(name: str) -> bytes:
    """About 6 kB of markdown in which every section speaks of the name."""
    sections = [f"## Of {name} in part {at}\n\n{text}" for at, text in enumerate(_sections(name))]
    return "\n\n".join((f"# All about {name}", *sections, "")).encode()


def word_file(name: str) -> bytes:
    """The same much text as the smallest Word file there is."""
    texts = (f"All about {name}.", *_sections(name))
    paragraphs = "".join(f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>\n" for text in texts)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as container:
        container.writestr("[Content_Types].xml", _CONTENT_TYPES)
        container.writestr("_rels/.rels", _RELATIONSHIPS)
        container.writestr("word/document.xml", _DOCUMENT.format(paragraphs=paragraphs))
    return file.getvalue()


def _sections(name: str) -> list[str]:
    rng = random.Random(name)  # no secrets
    sections = []
    for _ in range(_PAGE_BYTES // _SECTION_BYTES):
        text = f"This is what is known of {name}."
        while len(text) < _SECTION_BYTES:
            text += f" {sentence(rng)}."
        sections.append(text)
    return sections
