"""Pins the base images to digests: each tag is looked up in its registry and written everywhere.

    python -m utils.audit.images

A tag can be moved to another image; a digest cannot. The images are those that the Dockerfiles, the
compose files and .env.example name as the default of a variable ending in _IMAGE.
"""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import httpx

from utils.errors import DocsQAError
from utils.figures import print_progress, run_measurement
from utils.proxies import prepare_proxies, proxy_advice
from utils.settings import PROJECT_ROOT

FILES = ("Dockerfile", "deploy/chroma-gateway/Dockerfile", "deploy/services.yml", ".env.example")
_IMAGE = re.compile(r"(?<=_IMAGE)(=|:-)([^\s@}]+)(@sha256:[0-9a-f]{64})?")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
# Lists of images for several platforms, so that one digest is right for all of them.
_ACCEPT = ", ".join((
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
))  # fmt: skip
_TIMEOUT = 20


def unpinned_images(root: Path) -> Iterator[str]:
    """A line for each image that a file names without a digest."""
    named = [found for file in FILES for found in _IMAGE.findall((root / file).read_text())]
    for image in sorted({image for _, image, digest in named if not digest}):
        yield f"{image} has no digest. Run, with internet access: make pin-images"


def pin_images(root: Path) -> dict[str, str]:
    """Look up the digest of every image, then write them; returns each image's digest.

    Raises:
        DocsQAError: a registry does not return a digest. Then no file is changed.
    """
    texts = {root / file: (root / file).read_text() for file in FILES}
    images = {image for text in texts.values() for _, image, _ in _IMAGE.findall(text)}
    digests = {image: read_digest(image) for image in sorted(images)}
    for path, text in texts.items():
        path.write_text(_IMAGE.sub(lambda at: f"{at[1]}{at[2]}@{digests[at[2]]}", text))
    return digests


def read_digest(image: str) -> str:
    """The digest that an image's tag has in its registry now (OCI distribution specification).

    Raises:
        DocsQAError: the registry does not return one.
    """
    url = manifest_url(image)
    try:
        prepare_proxies([url])
        with httpx.Client(timeout=_TIMEOUT, headers={"Accept": _ACCEPT}) as client:
            response = client.head(url)
            if response.status_code == httpx.codes.UNAUTHORIZED:
                token = _anonymous_token(client, response.headers.get("WWW-Authenticate", ""))
                response = client.head(url, headers={"Authorization": f"Bearer {token}"})
            response.raise_for_status()
    except (httpx.HTTPError, KeyError, ValueError) as error:
        cause = str(error).partition("\n")[0] or type(error).__name__
        raise DocsQAError(
            f"Cannot read the digest of {image} from {httpx.URL(url).host}: {cause}. "
            f"No file was changed.{proxy_advice(url)}"
        ) from error
    digest: str = response.headers.get("Docker-Content-Digest", "")
    if not _DIGEST.fullmatch(digest):
        raise DocsQAError(f"The registry returned no digest of {image}. No file was changed.")
    return digest


def manifest_url(image: str) -> str:
    """Where the manifest of an image is, by Docker's rules for names."""
    name, _, tag = image.rpartition(":")
    registry, _, repository = name.partition("/")
    if not re.search(r"[.:]|^localhost$", registry):
        registry, repository = "docker.io", name if repository else f"library/{name}"
    host = "registry-1.docker.io" if registry == "docker.io" else registry
    scheme = "http" if re.match(r"(localhost|127\.0\.0\.1)(:|$)", host) else "https"
    return f"{scheme}://{host}/v2/{repository}/manifests/{tag}"


def _anonymous_token(client: httpx.Client, challenge: str) -> str:
    """The token for reading that the challenge of a registry asks for."""
    fields = dict(_CHALLENGE.findall(challenge))
    response = client.get(fields.pop("realm"), params=fields)
    response.raise_for_status()
    body: dict[str, str] = response.json()
    return body.get("token") or body["access_token"]


def main(argv: list[str] | None = None) -> int:
    """Pin the images; 1 with one line on an error."""
    argparse.ArgumentParser(
        prog="images", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args(argv)
    return run_measurement(_pin)


def _pin() -> None:
    for image, digest in pin_images(PROJECT_ROOT).items():
        print_progress(f"{image}@{digest}")


if __name__ == "__main__":
    raise SystemExit(main())
