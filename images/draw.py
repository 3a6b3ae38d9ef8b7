"""Draws the readme's pictures: python images/draw.py (or `make pictures`).

It renders the diagrams from the SVG files in this folder, and takes the screenshot from a service
that it starts on a free port. Needs Chromium, and no network.
"""

import base64
import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

IMAGES = Path(__file__).resolve().parent
DIAGRAMS = ("high_level_diag", "database_inference", "containers")
SCALE = 2
"""Pixels of a picture for each CSS pixel, for sharp text on any screen."""

DOCS_PAGE = "/docs#/answers/inference_endpoint_inference_endpoint_post"
"""Swagger UI opens the operation that its address names."""
DOCS_SIZE = (1280, 1026)
QUESTION = "How do I encrypt an endpoint with KMS?"
QUESTION_FIELD = "document.querySelector('.parameters input:enabled')"

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--hide-scrollbars",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-proxy-server",
    "--remote-debugging-port=0",
)
WAIT_SECONDS = 60


class DrawingError(Exception):
    """A picture cannot be drawn; the message says why in one line."""


def main() -> int:
    """Draw all pictures; return 1, with one line on stderr, if one cannot be drawn."""
    try:
        with ExitStack() as stack:
            page = stack.enter_context(browser_page(find_browser()))
            for name in DIAGRAMS:
                draw_diagram(page, IMAGES / f"{name}.svg")
            draw_docs(page, stack.enter_context(service()), IMAGES / "fast_api_docs.png")
    except DrawingError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except (WebSocketException, TimeoutError) as error:
        sys.stderr.write(f"Lost the connection to the browser: {error}\n")
        return 1
    return 0


class Page:
    """A page of the browser, controlled through Chromium's DevTools protocol."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._numbers = itertools.count(1)

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """Call a method of the protocol and wait for its result."""
        number = next(self._numbers)
        self._connection.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message: dict[str, Any] = json.loads(self._connection.recv(timeout=WAIT_SECONDS))
            if message.get("id") != number:
                continue
            if "error" in message:
                raise DrawingError(f"{method}: {message['error']['message']}")
            result: dict[str, Any] = message["result"]
            return result

    def run(self, script: str) -> Any:
        """Run a script in the page and return its value if that is a primitive."""
        return self.call("Runtime.evaluate", expression=script)["result"].get("value")

    def open(self, url: str, size: tuple[int, int]) -> None:
        """Load a URL in a window of this size in CSS pixels."""
        width, height = size
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=SCALE,
            mobile=False,
        )
        if failure := self.call("Page.navigate", url=url).get("errorText"):
            raise DrawingError(f"{url}: {failure}")
        self.wait_for("document.readyState == 'complete'")

    def wait_for(self, condition: str) -> None:
        """Wait until a condition is true in the page."""
        if not wait_until(lambda: bool(self.run(f"Boolean({condition})"))):
            raise DrawingError(f"The page did not reach this state in time: {condition}")

    def save(self, target: Path) -> None:
        """Save a screenshot of the page as a PNG."""
        target.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))
        sys.stdout.write(f"{target.name}: {target.stat().st_size / 1000:.0f} kB\n")


def draw_diagram(page: Page, source: Path) -> None:
    """Render an SVG file as the PNG of the same name."""
    root = ET.parse(source).getroot()  # noqa: S314  # our own file
    page.open(source.as_uri(), (int(root.attrib["width"]), int(root.attrib["height"])))
    page.save(source.with_suffix(".png"))


def draw_docs(page: Page, service_url: str, target: Path) -> None:
    """Show the service's documentation with a question typed into its first operation."""
    page.open(service_url + DOCS_PAGE, DOCS_SIZE)
    page.wait_for("document.querySelector('.try-out__btn')")
    page.run("document.querySelector('.try-out__btn').click()")
    page.wait_for(QUESTION_FIELD)
    page.run(f"{QUESTION_FIELD}.select()")
    page.call("Input.insertText", text=QUESTION)
    page.run("document.activeElement.blur(); window.scrollTo(0, 0)")
    page.wait_for("window.scrollY == 0")
    page.save(target)


def find_browser() -> str:
    """Find Chromium.

    Raises:
        DrawingError: there is none.
    """
    for name in BROWSERS:
        if found := shutil.which(name):
            return found
    raise DrawingError("No Chromium found. Install it (Debian: apt-get install chromium).")


@contextmanager
def browser_page(executable: str) -> Iterator[Page]:
    """Yield a page of a new browser with a temporary profile.

    Raises:
        DrawingError: the browser does not start.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        port_file = Path(profile) / "DevToolsActivePort"
        command = [executable, *BROWSER_FLAGS, f"--user-data-dir={profile}", "about:blank"]

        def listens() -> bool:
            return port_file.exists() and "\n" in port_file.read_text()

        with running(command, "The browser", listens):
            port = port_file.read_text().splitlines()[0]
            targets = httpx.get(f"http://127.0.0.1:{port}/json/list", trust_env=False).json()
            address = next(t["webSocketDebuggerUrl"] for t in targets if t["type"] == "page")
            with connect(address, max_size=None, proxy=None) as connection:
                yield Page(connection)


@contextmanager
def service() -> Iterator[str]:
    """Start a service without an index, which its API documentation does not need; yield its URL.

    Raises:
        DrawingError: it does not start.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "inference_worker", "--host", "127.0.0.1", "--port", str(port)]

    def answers() -> bool:
        try:
            return httpx.get(f"{url}/healthz", trust_env=False).is_success
        except httpx.TransportError:
            return False

    with tempfile.TemporaryDirectory() as empty:
        no_index = str(Path(empty) / "no-index")
        with running(command, "The service", answers, DATABASE=no_index):
            yield url


@contextmanager
def running(
    command: list[str], name: str, ready: Callable[[], bool], **environment: str
) -> Iterator[None]:
    """Run a command in the background for a block, which starts when the command is ready.

    Raises:
        DrawingError: it does not become ready; the message ends with its last output line.
    """
    with tempfile.TemporaryFile("w+", errors="replace") as said:
        process = subprocess.Popen(  # noqa: S603  # our own service, and the browser found above
            command, cwd=IMAGES.parent, env=os.environ | environment, stdout=said, stderr=said
        )
        try:
            if (
                not wait_until(lambda: process.poll() is not None or ready())
                or process.poll() is not None
            ):
                said.seek(0)
                last = (said.read().strip().splitlines() or ["it did not say why"])[-1]
                raise DrawingError(f"{name} did not start: {last}")
            yield
        finally:
            process.terminate()
            process.wait()


def wait_until(condition: Callable[[], bool]) -> bool:
    """Wait for a condition; return False if it is not met in time."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.1)
    return False


if __name__ == "__main__":
    sys.exit(main())
