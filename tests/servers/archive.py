"""A local server of a small generated archive, with scripted failures."""

import gzip
import io
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Literal

from dataset.sources.developer_guide import blob_id
from tests.servers.threaded import QuietHandler, http_server

PAGES = {
    "endpoints.md": b"# Endpoints\n\nAn endpoint answers requests.\n",
    "models.md": b"# Models\n\nA model is made by training.\n" * 200,
    "pipelines.md": b"# Pipelines\n\nA pipeline has steps.\n",
}

Conduct = Literal["whole", "missing", "cut", "stalled", "redirecting"]


def archive_of(pages: dict[str, bytes], *others: tarfile.TarInfo) -> bytes:
    """Pack the pages as GitHub packs a commit, with other members before them."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", format=tarfile.PAX_FORMAT) as archive:
        for other in others:
            archive.addfile(other, io.BytesIO(b"x" * other.size))
        for name, content in {"README.md": b"read me", **pages}.items():
            folder = "guide-a869fa5" if name == "README.md" else "guide-a869fa5/doc_source"
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def manifest_of(pages: dict[str, bytes], path: Path) -> Path:
    """Write the manifest with the pages' blob ids."""
    lines = [f"{blob_id(content)}  {name}" for name, content in sorted(pages.items())]
    path.write_text("\n".join(["# a manifest made for a test", *lines, ""]))
    return path


def large(name: str, size: int) -> tarfile.TarInfo:
    """A member of the given size."""
    member = tarfile.TarInfo(name)
    member.size = size
    return member


def link(name: str, target: str) -> tarfile.TarInfo:
    """A symbolic link."""
    member = tarfile.TarInfo(name)
    member.type, member.linkname = tarfile.SYMTYPE, target
    return member


@dataclass
class ArchiveServer:
    """The server's archive, its scripted failures, and the requests received."""

    url: str
    content: bytes = field(default_factory=lambda: archive_of(PAGES))
    conduct: Conduct = "whole"
    asked: list[str] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)


@contextmanager
def archive_server() -> Iterator[ArchiveServer]:
    """Serve on a free loopback port."""
    server: ArchiveServer

    class Handler(QuietHandler, BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.asked.append(self.path)
            if server.conduct == "missing":
                self.send_error(404)
            elif server.conduct == "redirecting" and self.path != "/moved":
                self.send(302, {"Location": "/moved"})
            else:
                self._send_archive()

        def _send_archive(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/x-gzip")
            self.send_header("Content-Length", str(len(server.content)))
            self.end_headers()
            if server.conduct == "stalled":
                server.closing.wait(30)
            elif server.conduct == "cut":
                self.wfile.write(server.content[: len(server.content) // 2])
            else:
                self.wfile.write(server.content)

    with http_server(Handler) as url:
        server = ArchiveServer(f"{url}/guide.tar.gz")
        try:
            yield server
        finally:
            server.closing.set()


def gzipped_noise() -> bytes:
    """A gzip file that is not an archive."""
    return gzip.compress(b"nothing to unpack here" * 100)
