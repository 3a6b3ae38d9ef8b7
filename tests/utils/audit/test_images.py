"""Base images are pinned to the digest that their registry returns."""

import re
from pathlib import Path

import pytest

from tests.containers import compose_files
from tests.utils.audit.registry import RegistryServer, registry_server
from utils.audit.images import FILES, manifest_url, pin_images, unpinned_images
from utils.errors import DocsQAError
from utils.settings import PROJECT_ROOT

DIGEST, NEWER = f"sha256:{'a1' * 32}", f"sha256:{'b2' * 32}"
TEXTS = (
    "ARG PYTHON_IMAGE={python}\nFROM ${{PYTHON_IMAGE}} AS base\n",
    "ARG NGINX_IMAGE={nginx}\nFROM ${{NGINX_IMAGE}}\n",
    "args:\n  PYTHON_IMAGE: ${{PYTHON_IMAGE:-{python}}}\nimage: ${{CHROMA_IMAGE:-{nginx}}}\n",
    "# Base images\nPYTHON_IMAGE={python}\nNGINX_IMAGE={nginx}\n",
)


def write_files(root: Path, python: str, nginx: str) -> None:
    for file, text in zip(FILES, TEXTS, strict=True):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text(text.format(python=python, nginx=nginx))


def read_files(root: Path) -> list[str]:
    return [(root / file).read_text() for file in FILES]


def names(server: RegistryServer) -> tuple[str, str]:
    return f"{server.host}/python:3.11", f"{server.host}/team/nginx:1.28"


@pytest.mark.parametrize("protected", [True, False])
def test_every_mention_of_an_image_is_pinned_to_its_digest(
    tmp_path: Path, *, protected: bool
) -> None:
    digests = {"python:3.11": DIGEST, "team/nginx:1.28": NEWER}
    with registry_server(digests, protected=protected) as server:
        python, nginx = names(server)
        write_files(tmp_path, python, nginx)
        pin_images(tmp_path)
    pinned = read_files(tmp_path)

    write_files(tmp_path, f"{python}@{DIGEST}", f"{nginx}@{NEWER}")
    assert pinned == read_files(tmp_path)
    assert not list(unpinned_images(tmp_path))


def test_an_older_digest_is_replaced(tmp_path: Path) -> None:
    with registry_server({"python:3.11": NEWER, "team/nginx:1.28": NEWER}) as server:
        python, nginx = names(server)
        write_files(tmp_path, f"{python}@{DIGEST}", f"{nginx}@{DIGEST}")
        assert pin_images(tmp_path) == {python: NEWER, nginx: NEWER}

    assert DIGEST not in "".join(read_files(tmp_path))


def test_the_token_is_requested_for_one_repository(tmp_path: Path) -> None:
    with registry_server({"python:3.11": DIGEST, "team/nginx:1.28": DIGEST}) as server:
        write_files(tmp_path, *names(server))
        pin_images(tmp_path)

    assert "GET /token?service=here&scope=team%2Fnginx%3Apull" in server.asked


@pytest.mark.parametrize("answer", ["missing", "no digest", "nonsense"])
def test_no_file_changes_unless_every_digest_is_known(tmp_path: Path, answer: str) -> None:
    digests = {"python:3.11": DIGEST}
    if answer != "missing":
        digests["team/nginx:1.28"] = "sha256:12" if answer == "nonsense" else " "
    with registry_server(digests) as server:
        python, nginx = names(server)
        write_files(tmp_path, python, nginx)
        before = read_files(tmp_path)
        with pytest.raises(DocsQAError, match=nginx) as raised:
            pin_images(tmp_path)

    assert "\n" not in str(raised.value)
    assert read_files(tmp_path) == before


def test_an_unreachable_registry_is_named_in_one_line(tmp_path: Path) -> None:
    write_files(tmp_path, "127.0.0.1:9/python:3.11", "127.0.0.1:9/nginx:1.28")
    with pytest.raises(DocsQAError, match=r"127\.0\.0\.1:9/nginx:1\.28") as raised:
        pin_images(tmp_path)

    assert "\n" not in str(raised.value)


def test_images_without_a_digest_are_reported_once(tmp_path: Path) -> None:
    write_files(tmp_path, "python:3.11", f"nginx:1.28@{DIGEST}")
    (line,) = unpinned_images(tmp_path)

    assert line.startswith("python:3.11 has no digest")


@pytest.mark.parametrize(
    ("image", "path"),
    [
        ("python:3.11", "registry-1.docker.io/v2/library/python/manifests/3.11"),
        ("chromadb/chroma:1.5.9", "registry-1.docker.io/v2/chromadb/chroma/manifests/1.5.9"),
        ("docker.io/team/app:1", "registry-1.docker.io/v2/team/app/manifests/1"),
        ("quay.io/a/b/c:1", "quay.io/v2/a/b/c/manifests/1"),
        ("registry.here:5000/app:1", "registry.here:5000/v2/app/manifests/1"),
    ],
)
def test_images_are_looked_up_where_docker_pulls_them(image: str, path: str) -> None:
    assert manifest_url(image) == f"https://{path}"


def test_images_are_named_through_the_variables_that_are_pinned() -> None:
    for file in FILES[:2]:
        text = (PROJECT_ROOT / file).read_text()
        bases = re.findall(r"^FROM (\S+)(?: AS (\S+))?", text, re.MULTILINE)
        used = {base for base, _ in bases} - {stage for _, stage in bases}
        assert used <= {"${PYTHON_IMAGE}", "${NGINX_IMAGE}"}
    for service in compose_files.services().values():
        assert "build" in service or re.match(r"\$\{[A-Z]+_IMAGE:-", service["image"])
