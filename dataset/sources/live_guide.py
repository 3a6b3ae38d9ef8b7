"""Finds pages that are in the dataset twice: from the archived guide and from the live one."""

from pathlib import Path

from dataset.sources.developer_guide import guide_names
from dataset.web.file_names import FOLDER, file_of
from dataset.web.request import Guide

_MAX_SHOWN = 3


def folder_of(guide: Guide) -> str:
    """The folder of a live guide's pages, below the dataset's root."""
    return f"{FOLDER}/{file_of(guide.root).removesuffix('index.md')}"


def duplicates_line(folder: Path, guide: Guide) -> str:
    """A line on pages of the archived guide that are also in the live one; "" if there are none."""
    live = folder / folder_of(guide)
    both = sorted(
        name for name in guide_names() if (folder / name).is_file() and (live / name).is_file()
    )
    if not both:
        return ""
    some = ", ".join(both[:_MAX_SHOWN])
    return (
        f"{len(both)} pages of the guide are there twice, live and from the archive of 2023 "
        f"({some}{', …' if len(both) > _MAX_SHOWN else ''}). To answer without the archive, build "
        f"the index with --include '{FOLDER}/*' --include 'api-reference/*'"
    )
