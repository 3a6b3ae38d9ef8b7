"""Refuses a build that would delete most documents: the folder may be incomplete by a fault."""

from collections import Counter
from collections.abc import Collection, Iterable

from dataset.documents import normal_name
from dataset.skipped import printable
from dataset.sources.developer_guide import guide_names
from dataset.sources.provenance import GUIDE
from dataset.web.file_names import FOLDER as WEB_FOLDER
from utils.errors import DatasetError
from utils.settings import in_container

_FORMER_GUIDE = f"{WEB_FOLDER}/docs.aws.amazon.com/sagemaker/latest/dg/"
"""Where the pages of the live guide were before they had the names of the archived ones."""
_TOP = "the folder itself, outside of its subfolders"


def check_deletions(before: Iterable[str], after: Collection[str]) -> None:
    """Stop if most documents of the index, or all of one source, are gone.

    Args:
        before: The documents of the live index; those of older versions may not be in NFC.
        after: The documents of the new index.

    Raises:
        DatasetError: they are; the message states which and how to allow it.
    """
    names = sorted(map(normal_name, before))
    gone = [name for name in names if name.removeprefix(_FORMER_GUIDE) not in after]
    if len(gone) * 2 > len(names):
        raise _refusal(f"{len(gone):,} of the {len(names):,} documents in the index", gone)
    kept = Counter(_source_of(name) for name in names if name in after)
    for source, count in Counter(map(_source_of, gone)).most_common():
        # One page beside the folders is no source.
        if not kept[source] and (count > 1 or source.endswith("/")):
            of_source = [name for name in gone if _source_of(name) == source]
            which = f"all {count:,} documents" if count > 1 else "the only document"
            raise _refusal(f"{which} of {printable(source)}", of_source)


def _refusal(what: str, gone: list[str]) -> DatasetError:
    option = (
        "docker compose run --rm db_builder python ./utils/db_builder.py --provision "
        "--allow-deletions"
        if in_container()
        else "--allow-deletions, or ALLOW_DELETIONS=1 with make"
    )
    return DatasetError(
        f"This build would delete {what}, such as {printable(gone[0])}, so the index was left as "
        f"it is. If the folder is as it should be, allow it: {option}."
    )


def _source_of(name: str) -> str:
    """The guide, a website, or a top-level folder."""
    folder, slash, rest = name.partition("/")
    if not slash:
        return GUIDE if name in guide_names() else _TOP
    if folder != WEB_FOLDER or "/" not in rest:
        return f"{folder}/"
    return f"{folder}/{rest.partition('/')[0]}/"
