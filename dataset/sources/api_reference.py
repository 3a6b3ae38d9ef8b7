"""Generates the SageMaker API reference from the service models in the package botocore.

There is a page for each operation of each service whose name starts with `sagemaker`, and for each
structure in a request or response, at any depth, that documents at least one of its fields. Other
structures are described where they are used, and errors with their operations.

Nothing is downloaded, and unchanged pages are not rewritten.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from dataset.page_files import (
    FileChanges,
    is_users,
    remove_temporary_files,
    write_atomically,
)
from dataset.sources.api_pages import ApiShape, Pages
from utils.errors import DatasetError

FOLDER = "api-reference"

_SAGEMAKER = "https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_"
_AUGMENTED_AI = "https://docs.aws.amazon.com/augmented-ai/2019-11-07/APIReference/API_"

_GENERATED = re.compile(
    rb"---\ntitle: (\w+)(?: \(.*\))?\n(?:url: .*\n)?---\n\n# \1\n"
    rb"|The pages in this folder are generated from "
)
"""The beginning of the files that this module writes."""
_NOTICE = """\
The pages in this folder are generated from the Amazon SageMaker service models of
botocore {version} (https://github.com/boto/botocore).

botocore is Copyright Amazon.com, Inc. or its affiliates and is licensed under the Apache
License, Version 2.0: https://www.apache.org/licenses/LICENSE-2.0

Changes: the models' documentation was converted from HTML to markdown, and each operation and
data type was arranged as a page of its own.
"""


_PLACES = {
    "sagemaker": ("", _SAGEMAKER),
    "sagemaker-a2i-runtime": ("a2i-runtime_", _AUGMENTED_AI),
    "sagemaker-edge": ("edge_", f"{_SAGEMAKER}edge_"),
    "sagemaker-featurestore-runtime": ("feature_store_", f"{_SAGEMAKER}feature_store_"),
    "sagemaker-geospatial": ("geospatial_", f"{_SAGEMAKER}geospatial_"),
    "sagemaker-metrics": ("metrics_", f"{_SAGEMAKER}metrics_"),
    "sagemaker-runtime": ("runtime_", f"{_SAGEMAKER}runtime_"),
}
"""Service -> the prefixes of its pages' file names and live addresses, as in the live reference."""


def write_api_reference(folder: Path) -> FileChanges:
    """Write the pages to `api-reference/` below the folder, and remove those not in the models.

    Files of the user in it are left as they are.

    Raises:
        DatasetError: the models are missing, or the folder cannot be written.
    """
    import botocore

    target = folder / FOLDER
    try:
        pages = _pages()
        target.mkdir(parents=True, exist_ok=True)
        remove_temporary_files(target)
        if not _is_users(target / "NOTICE"):
            notice = _NOTICE.format(version=botocore.__version__)
            write_atomically(target / "NOTICE", notice.encode())
        kept = [name for name in pages if _is_users(target / name)]
        outcomes = Counter[str](
            write_atomically(target / name, text.encode())
            for name, text in pages.items()
            if name not in kept
        )
        for path in target.glob("*.md"):
            if path.name not in pages and not _is_users(path):
                path.unlink()
                outcomes["removed"] += 1
    except OSError as error:
        raise DatasetError(
            f"Cannot write the API reference to {target}: {error.strerror or error}. "
            "Give a folder that can be written, with room for 10 MB."
        ) from error
    return FileChanges(**outcomes, kept=tuple(f"{FOLDER}/{name}" for name in kept))


def _is_users(path: Path) -> bool:
    return is_users(path, lambda content: bool(_GENERATED.match(content)))


@cache
def _pages() -> Mapping[str, str]:
    """The text of every page, by file name; the same as long as the process runs."""
    from botocore.exceptions import DataNotFoundError
    from botocore.loaders import Loader

    loader = Loader()
    try:
        models = {
            service: loader.load_service_model(service, "service-2")
            for service in loader.list_available_services("service-2")
            if service.startswith("sagemaker")
        }
    except DataNotFoundError as error:
        raise DatasetError(
            "The installed botocore carries no service models. Install it again: "
            "pip install --force-reinstall botocore"
        ) from error
    return {
        f"{name}.md": text
        for service, model in models.items()
        for name, text in _render_service(service, model)
    }


def _render_service(service: str, model: dict[str, Any]) -> Iterator[tuple[str, str]]:
    shapes, operations = model["shapes"], model["operations"]
    # The live address of another service's pages is not certain: they have none.
    unknown = (service.removeprefix("sagemaker").strip("-") + "_", "")
    prefix, live = _PLACES.get(service, unknown)
    full_name = "" if service == "sagemaker" else model["metadata"]["serviceFullName"]
    uses = _uses(shapes, operations)
    documented = {name for name in uses if _has_own_page(shapes[name])}
    pages = Pages(full_name, shapes, documented.__contains__)

    texts = [(name, pages.operation(name, each)) for name, each in sorted(operations.items())]
    texts += [(name, pages.structure(name, *uses[name])) for name in sorted(documented)]
    for name, text in texts:
        title = f"title: {name} ({full_name})\n" if full_name else f"title: {name}\n"
        url = f"url: {live}{name}.html\n" if live else ""
        yield prefix + name, f"---\n{title}{url}---\n\n{text}"


def _has_own_page(shape: ApiShape) -> bool:
    members = shape["members"].values()
    return not shape.get("exception") and any("documentation" in member for member in members)


def _uses(
    shapes: dict[str, ApiShape], operations: dict[str, ApiShape]
) -> dict[str, tuple[list[str], list[str]]]:
    """Find the uses of every structure that is the type of a field.

    Returns the structures that have a field of it, and the operations that use it, nearest first.
    """
    children = {name: _child_structures(shapes, name) for name in shapes}
    depths: dict[str, dict[str, int]] = defaultdict(dict)
    parents: dict[str, set[str]] = defaultdict(set)
    for operation, definition in operations.items():
        ends = {definition[end]["shape"] for end in ("input", "output") if end in definition}
        depth, level, seen = 0, ends, set(ends)
        while level:
            depth += 1
            below = set()
            for parent in level:
                for name in children[parent]:
                    depths[name].setdefault(operation, depth)
                    parents[name] |= {parent} - ends
                    below.add(name)
            level = below - seen
            seen |= level
    return {
        name: (sorted(parents[name] - {name}), sorted(sorted(found), key=found.__getitem__))
        for name, found in depths.items()
    }


def _child_structures(shapes: dict[str, ApiShape], name: str) -> set[str]:
    """The structures in a shape's fields, also in lists and maps."""
    shape = shapes[name]
    inner = [*shape.get("members", {}).values()]
    inner += [shape[part] for part in ("member", "key", "value") if part in shape]
    found = set()
    for reference in inner:
        if shapes[reference["shape"]]["type"] == "structure":
            found.add(reference["shape"])
        elif shapes[reference["shape"]]["type"] in {"list", "map"}:
            found |= _child_structures(shapes, reference["shape"])
    return found
