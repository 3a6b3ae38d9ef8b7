"""An emulator of Google Cloud Storage, gcp-storage-emulator, in this process.

Its XML interface reads and writes objects. What the tested client needs beside that is given here,
from the emulator's own store: the list as XML, and two headers that Google always sends.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from xml.sax.saxutils import escape

from gcp_storage_emulator import server as emulator  # type: ignore[import-untyped]
from gcp_storage_emulator.exceptions import NotFound  # type: ignore[import-untyped]
from gcp_storage_emulator.handlers import objects  # type: ignore[import-untyped]

BUCKET = "snapshots"
"""Of letters alone: the client escapes all else, which the emulator does not undo in a bucket."""
_ANY_TIME = "2026-01-02T03:04:05.000Z"


@dataclass(frozen=True)
class GCSServer:
    """The server's address, and the environment variables for its clients."""

    url: str

    @property
    def environment(self) -> dict[str, str]:
        return {"GOOGLE_BASE_URL": self.url, "GOOGLE_BEARER_TOKEN": "token-of-a-test"}


@contextmanager
def gcs_server() -> Iterator[GCSServer]:
    """Serve an empty bucket on a free loopback port."""
    emulator.HANDLERS = _OURS
    running = emulator.create_server("127.0.0.1", 0, in_memory=True, default_bucket=BUCKET)
    running.start()
    try:
        yield GCSServer(f"http://127.0.0.1:{_port(running)}")
    finally:
        running.stop()


def _port(running: Any) -> int:
    return int(running._api._httpd.server_address[1])  # noqa: SLF001  # it has no public attribute for the port


def _list(request: Any, response: Any, storage: Any, *_: object) -> None:
    asked = {name: values[0] for name, values in request.query.items()}
    try:
        found, prefixes = storage.get_file_list(
            request.params["bucket_name"], asked.get("prefix"), asked.get("delimiter")
        )
    except NotFound:
        response.status = HTTPStatus.NOT_FOUND
        return
    contents = "".join(
        f"<Contents><Key>{escape(o['name'])}</Key><LastModified>{_ANY_TIME}</LastModified>"
        f'<ETag>"{o["etag"]}"</ETag><Size>{o["size"]}</Size></Contents>'
        for o in found
    )
    common = "".join(
        f"<CommonPrefixes><Prefix>{escape(prefix)}</Prefix></CommonPrefixes>" for prefix in prefixes
    )
    page = f"<ListBucketResult>{contents}{common}</ListBucketResult>"
    response.write_file(f'<?xml version="1.0"?>{page}'.encode(), "application/xml")


def _read(request: Any, response: Any, storage: Any, *_: object) -> None:
    objects.download(request, response, storage)
    _describe(request, response, storage)


def _write(request: Any, response: Any, storage: Any, *_: object) -> None:
    objects.xml_upload(request, response, storage)
    _describe(request, response, storage)


def _describe(request: Any, response: Any, storage: Any) -> None:
    if response.status != HTTPStatus.NOT_FOUND:
        named = request.params["bucket_name"], request.params["object_id"]
        response["ETag"] = storage.get_file_obj(*named)["etag"]
        response["Last-Modified"] = "Fri, 02 Jan 2026 03:04:05 GMT"


_BUCKET = r"^/(?P<bucket_name>[-.\w]+)"
_OURS = (
    (f"{_BUCKET}$", {"GET": _list}),
    (rf"{_BUCKET}/(?P<object_id>.*[^/]+)$", {"GET": _read, "PUT": _write}),
)
