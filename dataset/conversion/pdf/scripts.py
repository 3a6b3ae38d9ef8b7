"""Writes superscripts, subscripts and note marks so that they are apart from the text before."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise

from dataset.conversion.pdf.lines import Line, TextRun
from dataset.markdown import writer

_MAX_LABEL_CHARACTERS = 3


def write_scripts(lines: Sequence[Line]) -> None:
    """Rewrite the scripts of a page's lines, and set its footnotes aside."""
    notes = {label: line for line in lines if (label := _note_label(line))}
    for label, marks in _marks_of(lines, notes).items():
        for run in marks:
            _rewrite(run, writer.note_mark(label))
        notes[label].runs[0].text = f"{writer.note_mark(label)}: "
        _set_aside(lines, notes[label])
    for line in lines:
        _write(line)


def _note_label(line: Line) -> str:
    """The raised label that a footnote begins with; "" for any other line."""
    first = line.runs[0]
    label = first.text.strip()
    short = len(label) <= _MAX_LABEL_CHARACTERS
    return label if first.script > 0 and short and len(line.runs) > 1 else ""


def _marks_of(lines: Iterable[Line], notes: Iterable[str]) -> dict[str, list[TextRun]]:
    """The marks of each footnote.

    A power of a number is one only for want of others, where no footnote lacks its marks.
    """
    found: dict[str, list[TextRun]] = defaultdict(list)
    after_numbers: dict[str, list[TextRun]] = defaultdict(list)
    for line in lines:
        for before, run in pairwise(line.runs):
            label = run.text.strip()
            if run.script > 0 and label in notes:
                powers = before.text[-1:].isdigit()
                (after_numbers if powers else found)[label].append(run)
    marks = after_numbers | found
    return marks if marks.keys() == set(notes) else found


def _set_aside(lines: Sequence[Line], note: Line) -> None:
    """Mark a footnote's lines as no part of the text before them."""
    place = next(at for at, line in enumerate(lines) if line is note)
    note.aside = True
    for above, line in pairwise(lines[place:]):
        down = above.box.bottom - line.box.bottom
        if line.runs[0].script or line.size != note.size or not 0 < down < 1.6 * line.size:
            return
        line.aside = True


def _write(line: Line) -> None:
    """Write a line's scripts, and join its runs of the same typeface."""
    runs: list[TextRun] = []
    before = ""
    for run in line.runs:
        if run.script:
            write = writer.raised if run.script > 0 else writer.lowered
            _rewrite(run, write(before, run.text.rstrip()))
        before += run.text
        last = runs[-1] if runs else None
        if last and (last.code, last.bold, last.link) == (run.code, run.bold, run.link):
            last.text += run.text
        else:
            runs.append(run)
    line.runs = runs


def _rewrite(run: TextRun, text: str) -> None:
    run.text = text + " " * run.text.endswith(" ")
    run.script = 0
