"""Writes the pages of the API reference from botocore's service models.

One bullet contains everything about a field, so that it can be retrieved and read on its own. A
structure in it is named, and described on its own page.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from textwrap import indent
from typing import Any

from dataset.markdown.writer import code
from dataset.sources.api_markup import model_markdown

ApiShape = dict[str, Any]
"""A shape, member or operation in the JSON of a model."""

_MAX_NAMES_LISTED = 12
_MAX_VALUES_IN_A_BULLET = 24
_EXTENTS = {
    "string": "Length: {} characters.",
    "blob": "Size: {} bytes.",
    "list": "Number of items: {}.",
    "map": "Number of entries: {}.",
}
_PLACES = {
    "header": "Sent as the header {}.",
    "headers": "Sent as headers that start with {}.",
    "uri": "Part of the request's path.",
    "querystring": "Sent as the query parameter {}.",
    "statusCode": "Sent as the HTTP status.",
}


@dataclass(frozen=True)
class Pages:
    """Writes the pages of one service."""

    service: str
    """Its full name; "" for SageMaker itself."""
    shapes: dict[str, ApiShape]
    has_page: Callable[[str], bool]
    """True for a structure with its own page."""

    def operation(self, name: str, operation: ApiShape) -> str:
        """The page of an operation: what it does, its request, response and errors."""
        errors = [self._error(error["shape"]) for error in operation.get("errors", ())]
        return _join(
            f"# {name}",
            f"An operation of {self.service}." if self.service else "",
            model_markdown(operation.get("documentation", "")),
            "## Request",
            self._path(operation),
            self._fields(operation.get("input"), "The request has no fields."),
            "## Response",
            self._fields(operation.get("output"), "The response has no fields."),
            "## Errors" if errors else "",
            "\n".join(errors),
        )

    def structure(self, name: str, parents: Sequence[str], operations: Sequence[str]) -> str:
        """The page of a structure: its fields, and the structures and operations that use it."""
        shape = self.shapes[name]
        return _join(
            f"# {name}",
            f"A data type of {self.service}." if self.service else "",
            model_markdown(shape.get("documentation", "")),
            f"Part of: {_names(parents, 'structures')}." if parents else "",
            f"Used by: {_names(operations, 'operations')}.",
            "## Fields",
            "Exactly one of these fields is set." if shape.get("union") else "",
            self._fields({"shape": name}, "It has no fields."),
        )

    def _path(self, operation: ApiShape) -> str:
        """Method and path of a REST operation; "" for other protocols, which have no paths."""
        http = operation.get("http", {})
        path = http.get("requestUri", "/")
        return "" if path == "/" else code(f"{http['method']} {path}")

    def _fields(self, reference: ApiShape | None, none: str) -> str:
        shape = self.shapes[reference["shape"]] if reference else {}
        required = shape.get("required", ())
        bullets = [
            self._field(name, member, required=name in required, body=shape.get("payload") == name)
            for name, member in shape.get("members", {}).items()
        ]
        return "\n".join(bullets) or none

    def _field(self, name: str, member: ApiShape, *, required: bool, body: bool) -> str:
        shape = self.shapes[member["shape"]]
        text = model_markdown(member.get("documentation") or shape.get("documentation", ""))
        need = "required" if required else "optional"
        head = f"**{name}** ({self._type(member['shape'])}, {need})"
        facts = [*_remarks(member, body=body), *self._facts(member["shape"])]
        return _bullet(head, text, " ".join(facts), self._long_lists(name, member["shape"]))

    def _error(self, name: str) -> str:
        shape = self.shapes[name]
        status = shape.get("error", {}).get("httpStatusCode")
        text = model_markdown(shape.get("documentation", ""))
        return _bullet(f"**{name}**", text, f"HTTP status {status}." if status else "", [])

    def _type(self, name: str) -> str:
        shape = self.shapes[name]
        match shape["type"]:
            case "structure" if shape.get("document"):
                return "JSON document"
            case "structure" if shape.get("eventstream"):
                return f"event stream {code(name)}"
            case "structure":
                return f"structure {code(name)}"
            case "list":
                return f"list of {self._inner(shape['member']['shape'])}"
            case "map":
                key, value = (self._inner(shape[part]["shape"]) for part in ("key", "value"))
                return f"map from {key} to {value}"
            case "blob":
                return "binary data"
            case plain:
                return str(plain)

    def _inner(self, name: str) -> str:
        return self._type(name).removeprefix("structure ")

    def _facts(self, name: str) -> list[str]:
        """The constraints of a field's value, as sentences that name what they constrain."""
        shape = self.shapes[name]
        facts = []
        if span := _span(shape):
            facts.append(_EXTENTS.get(shape["type"], "Value: {}.").format(span))
        if pattern := shape.get("pattern"):
            facts.append(f"Pattern: {code(' '.join(pattern.split()))}.")
        if 0 < len(values := shape.get("enum", ())) <= _MAX_VALUES_IN_A_BULLET:
            facts.append(f"Allowed values: {_coded(values)}.")
        if "default" in shape:
            facts.append(f"Default: {code(str(shape['default']))}.")
        for part, label in (("member", "Each item"), ("key", "Each key"), ("value", "Each value")):
            if part in shape and (inner := self._facts(shape[part]["shape"])):
                facts.append(f"{label}: {' '.join(inner)}")
        if shape["type"] == "structure" and not (shape.get("document") or self.has_page(name)):
            inline = [
                f"{code(field)} ({self._type(member['shape'])})"
                for field, member in shape["members"].items()
            ]
            facts.append(f"Fields of {code(name)}: {', '.join(inline) or 'none'}.")
        return facts

    def _long_lists(self, field: str, name: str) -> list[str]:
        """List many allowed values in pieces, each of which names the field."""
        shape = self.shapes[name]
        inner = [shape[part]["shape"] for part in ("member", "key", "value") if part in shape]
        pieces = [piece for each in inner for piece in self._long_lists(field, each)]
        values, size = shape.get("enum", ()), _MAX_VALUES_IN_A_BULLET
        if len(values) > size:
            groups = (values[start : start + size] for start in range(0, len(values), size))
            pieces += [f"- Allowed values of {field}: {_coded(group)}." for group in groups]
        return pieces


def _bullet(head: str, text: str, facts: str, pieces: list[str]) -> str:
    """One list item: name and type, description, constraints, and lists of values."""
    # Constraints end a single paragraph; after anything longer they are their own paragraph.
    separator = "\n\n" if "\n" in text else " " if text.endswith((".", "!", "?", ":")) else ". "
    body = separator.join(part for part in (text, facts) if part)
    opening = ":\n\n" if body.startswith(("- ", "1. ")) else ": " if body else ""
    content = f"{head}{opening}{body}"
    if pieces:
        content += "\n\n" + "\n".join(pieces)
    return f"- {indent(content, '  ').removeprefix('  ')}"


def _remarks(member: ApiShape, *, body: bool) -> list[str]:
    remarks = []
    if member.get("deprecated"):
        remarks.append(f"Deprecated. {member.get('deprecatedMessage', '')}".strip())
    if body:
        remarks.append("Sent as the body.")
    if place := _PLACES.get(member.get("location", "")):
        remarks.append(place.format(code(member.get("locationName", ""))))
    if member.get("idempotencyToken"):
        remarks.append("The AWS SDKs fill it in where it is left out.")
    return remarks


def _span(shape: ApiShape) -> str:
    low, high = shape.get("min"), shape.get("max")
    if low is None and high is None:
        return ""
    if low == high:
        return f"exactly {low}"
    if high is None:
        return f"at least {low}"
    return f"at most {high}" if low is None else f"{low} to {high}"


def _coded(values: Sequence[str]) -> str:
    return ", ".join(code(value) for value in values)


def _names(names: Sequence[str], kind: str) -> str:
    listed = _coded(names[:_MAX_NAMES_LISTED])
    more = len(names) - _MAX_NAMES_LISTED
    return f"{listed} and {more} other {kind}" if more > 0 else listed


def _join(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"
