"""States superscripts and subscripts in the cells of workbooks, whose reader joins their runs."""

from itertools import groupby
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from dataset.conversion.office.namespaces import S
from dataset.markdown.writer import lowered, raised

_OFFSETS = {"superscript": raised, "subscript": lowered}


def with_offsets(part: Element) -> bytes:
    """The XML of shared strings or a sheet, with `2^32` where 32 is raised."""
    for name in ("si", "is"):
        for text in part.iter(f"{S}{name}"):
            _state_offsets(text)
    written: bytes = ElementTree.tostring(part, "utf-8")
    return written


def _state_offsets(text: Element) -> None:
    before = ""
    for offset, group in groupby(text.findall(f"{S}r"), _offset):
        runs = [found for run in group if (found := run.find(f"{S}t")) is not None]
        words = "".join(run.text or "" for run in runs)
        if offset in _OFFSETS and runs:
            words = _OFFSETS[offset](before, words)
            for run in runs:
                run.text = ""
            runs[0].text = words
        before += words


def _offset(run: Element) -> str:
    found = run.find(f"{S}rPr/{S}vertAlign")
    return "" if found is None else found.get("val", "")
