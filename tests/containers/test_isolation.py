"""The system in real containers: users, rights, network access and image contents."""

import json
import re

import pytest

from tests.containers import compose_files
from tests.containers.checkout import LONG_RUNNING, PYTHON, QUESTION, Checkout, docker, owners

pytestmark = [pytest.mark.containers, pytest.mark.timeout(1800)]


def test_files_in_the_checkout_belong_to_its_owner(system: Checkout) -> None:
    assert (system.folder / "database" / "chroma" / "chroma.sqlite3").is_file()
    assert owners(system.folder) == {system.owner}


@pytest.mark.parametrize("service", LONG_RUNNING)
def test_no_process_is_root(system: Checkout, service: str) -> None:
    _, *processes = docker("top", system.container(service), "-eo", "uid,pid,cmd").splitlines()

    assert processes
    assert not [line for line in processes if line.split()[0] == "0"], processes


@pytest.mark.parametrize("service", [*LONG_RUNNING, "db_builder"])
def test_containers_are_read_only_and_cannot_gain_privileges(
    system: Checkout, service: str
) -> None:
    host = system.inspect(service)["HostConfig"]

    assert host["ReadonlyRootfs"] is True
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["Privileged"] is False
    assert host["Memory"] > 0
    assert host["LogConfig"]["Config"]["max-size"] == "10m"


# --- The door to Chroma ------------------------------------------------------------------------

ASK_GATEWAY = """
import sys, urllib.request, urllib.error
path, *given = sys.argv[1:]
headers = {"Authorization": given[0]} if given else {}
try:
    request = urllib.request.Request("http://chroma-gateway:8000" + path, headers=headers)
    print(urllib.request.urlopen(request, timeout=5).status)
except urllib.error.HTTPError as error:
    print(error.code)
"""


def ask_gateway(network: str, *arguments: str) -> int:
    """The gateway's response to a container outside the system."""
    command = ["python", "-c", ASK_GATEWAY, *arguments]
    return int(docker("run", "--rm", "--network", network, PYTHON, *command))


def test_gateway_refuses_requests_without_the_token(system: Checkout, network: str) -> None:
    token = system.token()
    heartbeat = "/api/v2/heartbeat"

    assert re.fullmatch("[0-9a-f]{64}", token)
    assert ask_gateway(network, heartbeat, f"Bearer {token}") == 200
    assert ask_gateway(network, heartbeat) == 401
    for wrong in (f"{token[:-1]}", f"{token}0", token.upper(), f"0{token}", "", "wrong"):
        assert ask_gateway(network, heartbeat, f"Bearer {wrong}") == 401
    assert ask_gateway(network, heartbeat, f"Basic {token}") == 401
    assert ask_gateway(network, f"{heartbeat}?token={token}") == 401


def test_gateway_exposes_only_the_api(system: Checkout, network: str) -> None:
    token = system.token()

    assert ask_gateway(network, "/docs", f"Bearer {token}") == 404
    assert ask_gateway(network, "/refused", f"Bearer {token}") == 404
    assert ask_gateway(network, "/") == 401


GUESS = """
import urllib.request, urllib.error, collections
seen = collections.Counter()
for guess in range(200):
    try:
        urllib.request.urlopen(urllib.request.Request(
            "http://chroma-gateway:8000/api/v2/heartbeat",
            headers={"Authorization": f"Bearer {guess}"}), timeout=5)
    except urllib.error.HTTPError as error:
        seen[error.code] += 1
print(dict(seen))
"""


def test_gateway_throttles_token_guessing(system: Checkout, network: str) -> None:
    seen = docker("run", "--rm", "--network", network, PYTHON, "python", "-c", GUESS)

    assert re.search(r"429: 1\d\d", seen), seen
    assert system.ask(QUESTION).status_code == 200, "the worker is not slowed down with it"


SEND = """
import http.client, os, sys
connection = http.client.HTTPConnection("chroma-gateway", 8000, timeout=20)
headers = {"Authorization": "Bearer " + sys.argv[1], "Content-Length": str(41 << 20)}
connection.putrequest("POST", "/api/v2/anything")
for name, value in headers.items():
    connection.putheader(name, value)
connection.endheaders()
print(connection.getresponse().status)
"""


def test_gateway_refuses_bodies_over_chromas_limit(system: Checkout, network: str) -> None:
    command = ["python", "-c", SEND, system.token()]
    assert docker("run", "--rm", "--network", network, PYTHON, *command).strip() == "413"


def test_chroma_is_reachable_only_through_its_gateway(system: Checkout, network: str) -> None:
    look_up = "import socket; socket.getaddrinfo('chroma', 8000)"
    assert "not known" in docker(
        "run", "--rm", "--network", network, PYTHON, "python", "-c", look_up, check=False
    )
    chroma = system.inspect("chroma")
    assert list(chroma["NetworkSettings"]["Networks"]) == [f"{system.project}_store"]
    assert not any(chroma["NetworkSettings"]["Ports"].values())
    (store,) = json.loads(docker("network", "inspect", f"{system.project}_store"))
    assert store["Internal"] is True
    # The host has no address on that network, so it cannot reach it.
    gateway = store["IPAM"]["Config"][0]["Gateway"]
    addresses = "cat /proc/net/fib_trie"
    listed = docker("run", "--rm", "--network", "host", PYTHON, "sh", "-c", addresses)
    assert f"|-- {gateway}\n" not in listed


def test_token_is_in_no_log_and_no_docker_inspect_output(system: Checkout) -> None:
    token = system.token()
    for service in [*LONG_RUNNING, "db_builder"]:
        assert token not in system.logs(service)
        assert token not in docker("inspect", system.container(service))


# --- The images --------------------------------------------------------------------------------

SETUID = "find / -xdev \\( -perm -4000 -o -perm -2000 \\) -type f"
SCAN = r"""
find / -xdev \( -name id_rsa -o -name id_ed25519 -o -name '*.key' -o -name .env -o -name .git \
    -o -name .netrc -o -name .pypirc \) -not -path '/proc/*'
find /root/.cache /tmp /var/cache/apt /var/lib/apt/lists /app -type f 2>/dev/null \
    \( -path '/root/*' -o -path '/tmp/*' -o -path '/var/*' -o -name '*.md' -o -name '*.pyc' \)
find /opt/venv /app /usr/local /etc -type f -size -64k 2>/dev/null -exec grep -l -s \
    -e '-----BEGIN [A-Z ]*PRIVATE KEY-----' {} + | grep -v '\.pyc\?$'
ls /opt/venv/bin/pip /usr/local/bin/pip 2>/dev/null
true
"""


def scanned(image: str, scan: str) -> set[str]:
    found = docker("run", "--rm", "--user", "0", "--entrypoint", "sh", image, "-c", scan)
    return set(found.splitlines())


@pytest.mark.parametrize("image", ["inference-worker", "inference-worker:slim"])
def test_image_contains_no_setuid_file_key_cache_or_installer(system: Checkout, image: str) -> None:
    assert scanned(image, SETUID) == set()
    assert scanned(image, SCAN) == set()


def test_gateway_image_equals_its_base_without_setuid_files(system: Checkout) -> None:
    base, _, _ = compose_files.defaults()["NGINX_IMAGE"].partition("@")

    assert scanned("chroma-gateway", SETUID) == set()
    assert scanned("chroma-gateway", SCAN) <= scanned(base, SCAN)


def test_worker_image_has_no_torch_and_the_other_no_cuda(system: Checkout) -> None:
    listing = ["--entrypoint", "ls", "inference-worker:slim"]
    packages = "/opt/venv/lib/python3.11/site-packages"

    slim = docker("run", "--rm", *listing, packages).split()
    assert "openvino" in slim
    assert not {"torch", "transformers", "scipy"} & set(slim)
    full = docker("run", "--rm", "--entrypoint", "ls", "inference-worker", packages).split()
    assert "torch" in full
    assert not [name for name in full if name.startswith(("nvidia", "triton"))]


def test_cpu_image_stays_under_its_limit(system: Checkout) -> None:
    size = int(docker("image", "inspect", "--format", "{{.Size}}", "inference-worker"))
    assert size < 2.2e9


def layers_of_the_worker() -> list[str]:
    (image,) = json.loads(docker("image", "inspect", "inference-worker:slim"))
    found: list[str] = image["RootFS"]["Layers"]
    return found


def test_code_change_rebuilds_only_the_code_layers(system: Checkout) -> None:
    before = layers_of_the_worker()
    file = system.folder / "inference_worker" / "ask.py"
    code = file.read_text()
    file.write_text(f"{code}\n# changed\n")
    system.compose("build", "inference_worker")
    changed = layers_of_the_worker()
    file.write_text(code)
    system.compose("build", "inference_worker")

    assert changed != before
    assert changed[:-2] == before[:-2], "packages were installed again"
