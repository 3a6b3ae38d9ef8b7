"""The system in real containers: started, asked, looked into, killed.

`make test-containers` runs these; they need a Docker engine and take some minutes.
"""

import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from dataset.api_reference import write_api_reference
from tests import compose_files
from tests.containers import (
    PYTHON,
    Checkout,
    Questions,
    compose_command,
    docker,
    engine_missing,
    wait_for,
)
from tests.mpnet import make_mpnet
from tests.pages import PAGES
from utils.settings import PROJECT_ROOT

pytestmark = [
    pytest.mark.containers,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(bool(engine_missing()), reason=engine_missing()),
]

QUESTION = "How is the storage volume of an endpoint encrypted?"
QUESTIONS = [QUESTION, "What does managed spot training cost?", "What runs on a notebook instance?"]
LONG_RUNNING = ["chroma", "chroma-gateway", "inference_worker"]
MINILM_IN_ENV = "EMBEDDING_MODEL_NAME=sentence-transformers/all-MiniLM-L6-v2\n"


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """Started from a fresh checkout with a few documents and no .env, in one command."""
    checkout = Checkout(tmp_path_factory.mktemp("docsqa"))
    checkout.write_documents(PAGES)
    try:
        checkout.compose("up", "--detach", "--build")
        checkout.wait_until_ready()
        yield checkout
    finally:
        checkout.down()


@pytest.fixture
def network(system: Checkout) -> str:
    """The network that builder, worker and gateway share."""
    return f"{system.project}_default"


def token_of(system: Checkout) -> str:
    return system.run_in("inference_worker", "cat", "/run/chroma-gateway/chroma_token")


def owners(folder: Path) -> set[int]:
    return {path.lstat().st_uid for path in [folder, *folder.rglob("*")]}


# --- First start -------------------------------------------------------------------------------


def test_first_start_answers_from_the_documentation(system: Checkout) -> None:
    body = system.ask(QUESTION).json()

    assert "KmsKeyId" in body["answer"]
    assert body["docs"][0] == "endpoints.md"


def test_first_build_says_how_far_it_is_and_which_model_it_took(system: Checkout) -> None:
    said = system.logs("db_builder")

    assert "Going on with the packaged sentence-transformers/all-MiniLM-L6-v2" in said
    assert "5 chunks, 5 of them embedded now" in said
    assert system.inspect("db_builder")["State"]["ExitCode"] == 0


def test_second_start_embeds_nothing(system: Checkout) -> None:
    assert "0 of them embedded now" in system.compose("run", "--rm", "db_builder")


def test_postman_collection_passes(system: Checkout) -> None:
    if not shutil.which("npx"):
        pytest.skip("no npx here: newman cannot be run")
    run = subprocess.run(
        [
            *("npx", "--yes", "newman@6.2.2", "run", "postman_collection.json"),
            *("--env-var", f"baseUrl={system.url}", "--color", "off"),
        ],
        cwd=system.folder, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip

    assert run.returncode == 0, run.stdout + run.stderr


# --- Who may do what ---------------------------------------------------------------------------


def test_files_in_the_checkout_belong_to_its_owner(system: Checkout) -> None:
    assert (system.folder / "database" / "chroma" / "chroma.sqlite3").is_file()
    assert owners(system.folder) == {system.owner}


@pytest.mark.parametrize("service", LONG_RUNNING)
def test_no_process_is_root(system: Checkout, service: str) -> None:
    _, *processes = docker("top", system.container(service), "-eo", "uid,pid,cmd").splitlines()

    assert processes
    assert not [line for line in processes if line.split()[0] == "0"], processes


@pytest.mark.parametrize("service", [*LONG_RUNNING, "db_builder"])
def test_containers_cannot_change_themselves_nor_gain_rights(
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
    """What the gateway answers to a container that is not of the system."""
    command = ["python", "-c", ASK_GATEWAY, *arguments]
    return int(docker("run", "--rm", "--network", network, PYTHON, *command))


def test_gateway_refuses_who_has_not_the_token(system: Checkout, network: str) -> None:
    token = token_of(system)
    heartbeat = "/api/v2/heartbeat"

    assert re.fullmatch("[0-9a-f]{64}", token)
    assert ask_gateway(network, heartbeat, f"Bearer {token}") == 200
    assert ask_gateway(network, heartbeat) == 401
    for wrong in (f"{token[:-1]}", f"{token}0", token.upper(), f"0{token}", "", "wrong"):
        assert ask_gateway(network, heartbeat, f"Bearer {wrong}") == 401
    assert ask_gateway(network, heartbeat, f"Basic {token}") == 401
    assert ask_gateway(network, f"{heartbeat}?token={token}") == 401


def test_gateway_shows_nothing_but_the_api(system: Checkout, network: str) -> None:
    token = token_of(system)

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


def test_gateway_slows_down_who_guesses(system: Checkout, network: str) -> None:
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
    command = ["python", "-c", SEND, token_of(system)]
    assert docker("run", "--rm", "--network", network, PYTHON, *command).strip() == "413"


def test_chroma_is_reached_through_its_gateway_alone(system: Checkout, network: str) -> None:
    look_up = "import socket; socket.getaddrinfo('chroma', 8000)"
    assert "not known" in docker(
        "run", "--rm", "--network", network, PYTHON, "python", "-c", look_up, check=False
    )
    chroma = system.inspect("chroma")
    assert list(chroma["NetworkSettings"]["Networks"]) == [f"{system.project}_store"]
    assert not any(chroma["NetworkSettings"]["Ports"].values())
    (store,) = json.loads(docker("network", "inspect", f"{system.project}_store"))
    assert store["Internal"] is True
    # The host has no address on that network, hence no way into it.
    gateway = store["IPAM"]["Config"][0]["Gateway"]
    addresses = "cat /proc/net/fib_trie"
    listed = docker("run", "--rm", "--network", "host", PYTHON, "sh", "-c", addresses)
    assert f"|-- {gateway}\n" not in listed


def test_token_is_in_no_log_and_no_description_of_a_container(system: Checkout) -> None:
    token = token_of(system)
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
def test_image_holds_no_setuid_file_key_cache_or_installer(system: Checkout, image: str) -> None:
    assert scanned(image, SETUID) == set()
    assert scanned(image, SCAN) == set()


def test_gateways_image_holds_no_setuid_file_and_adds_nothing_to_its_base(system: Checkout) -> None:
    base = compose_files.defaults()["NGINX_IMAGE"]

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


def test_code_change_rebuilds_the_layers_of_the_code_alone(system: Checkout) -> None:
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


# --- Trouble -----------------------------------------------------------------------------------


@pytest.mark.parametrize("service", LONG_RUNNING)
def test_killed_part_comes_back_and_the_index_with_it(system: Checkout, service: str) -> None:
    before = system.wait_until_ready()["index"]
    started = system.inspect(service)["State"]["StartedAt"]

    with Questions(system, QUESTIONS) as asked:
        system.kill(service)
        wait_for(
            lambda: system.inspect(service)["State"]["StartedAt"] != started, 60, "started again"
        )
        after = system.wait_until_ready()["index"]
        wait_for(lambda: system.ask(QUESTION).status_code == 200, 30, "answering")

    assert after == before
    assert asked.outcomes["200 application/json"] > 0
    refused = {"503 application/problem+json"}
    if service == "inference_worker":
        refused |= {"ConnectError", "ReadError", "RemoteProtocolError", "ReadTimeout"}
    assert set(asked.outcomes) <= {"200 application/json"} | refused, asked.outcomes


def test_builder_killed_halfway_is_started_again_and_finishes(
    system: Checkout, tmp_path: Path
) -> None:
    before = system.wait_until_ready()["index"]
    write_api_reference(tmp_path)
    pages = sorted((tmp_path / "api-reference").glob("C*.md"))
    system.write_documents({page.name: page.read_text() for page in pages})

    with Questions(system, QUESTIONS) as asked:
        docker("start", system.container("db_builder"))
        wait_for(lambda: system.logs("db_builder").count("Building the index:"), 300, "embedding")
        system.kill("db_builder")
        wait_for(lambda: system.inspect("db_builder")["RestartCount"] > 0, 60, "restarted")
        wait_for(
            lambda: system.inspect("db_builder")["State"]["Status"] == "exited", 900, "finished"
        )
        after = wait_for(
            lambda: (
                index
                if (index := system.readiness()["index"])["revision"] != before["revision"]
                else None
            ),
            30,
            "followed",
        )

    assert system.inspect("db_builder")["State"]["ExitCode"] == 0, system.logs("db_builder")
    assert after["documents"] == before["documents"] + len(pages)
    assert set(asked.outcomes) == {"200 application/json"}, asked.outcomes
    again = system.compose("run", "--rm", "db_builder")
    assert f"{after['chunks']:,} chunks, 0 of them embedded now" in again
    assert owners(system.folder / "database") == {system.owner}


SLOW_LLM = """
import http.server, json, time
class Mistral(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        print("asked", flush=True)
        time.sleep(4)
        body = json.dumps({"id": "1", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{"index": 0, "finish_reason": "stop",
                "message": {"role": "assistant", "content": "It is encrypted [1]."}}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(("", 9000), Mistral).serve_forever()
"""


def test_stopped_worker_first_finishes_what_it_was_asked(system: Checkout, network: str) -> None:
    key = "a-key-that-nobody-may-see"
    llm = docker(
        "run", "--detach", "--rm", "--network", network, "--network-alias", "llm",
        PYTHON, "python", "-c", SLOW_LLM,
    ).strip()  # fmt: skip
    system.settings = {"MISTRAL_API_KEY": key, "MISTRAL_BASE_URL": "http://llm:9000/v1"}
    try:
        system.compose("up", "--detach", "--no-deps", "inference_worker")
        system.wait_until_ready()
        answered: list[httpx.Response] = []
        asking = threading.Thread(target=lambda: answered.append(system.ask(QUESTION)))
        asking.start()
        wait_for(lambda: "asked" in docker("logs", llm), 10, "asked")
        system.compose("stop", "inference_worker")
        asking.join(60)

        assert answered[0].json()["answer"] == "It is encrypted [1]."
        assert system.inspect("inference_worker")["State"]["ExitCode"] == 0
        for service in ("chroma", "chroma-gateway", "db_builder"):
            assert key not in docker("inspect", system.container(service))
        assert key not in system.logs("inference_worker")
    finally:
        docker("kill", llm)
        system.settings = {}
        system.compose("up", "--detach", "--no-deps", "inference_worker")
        system.wait_until_ready()


def test_worker_takes_up_the_token_that_the_gateway_was_given(system: Checkout) -> None:
    started = system.inspect("inference_worker")["State"]["StartedAt"]
    system.settings = {"CHROMA_TOKEN": "another-token.of-the_operators~own"}
    try:
        system.compose("up", "--detach", "--no-deps", "chroma-gateway")
        wait_for(lambda: token_of(system) == "another-token.of-the_operators~own", 10, "written")
        wait_for(lambda: system.ask(QUESTION).status_code == 200, 30, "answering")
        assert system.inspect("inference_worker")["State"]["StartedAt"] == started
    finally:
        system.settings = {}
        system.compose("up", "--detach", "--no-deps", "chroma-gateway")
        wait_for(lambda: system.ask(QUESTION).status_code == 200, 30, "answering")


def recipe_of_the_readme(secret: Path) -> str:
    """What the readme says to write into docker-compose.override.yml."""
    readme = (PROJECT_ROOT / "readme.md").read_text()
    (recipe,) = re.findall(r"```yaml\n(.*?)```", readme, flags=re.DOTALL)
    assert "/etc/sagemaker-docs/mistral_api_key" in recipe
    return str(recipe).replace("/etc/sagemaker-docs/mistral_api_key", str(secret))


def test_key_in_a_file_is_read_and_stands_in_no_description(system: Checkout) -> None:
    key = "a-key-that-nobody-may-see"
    secret = system.folder / "mistral_api_key"
    override = system.folder / "docker-compose.override.yml"
    secret.write_text(key)
    override.write_text(recipe_of_the_readme(secret))
    try:
        system.compose("up", "--detach", "--no-deps", "inference_worker")
        system.wait_until_ready()

        assert "Answers are written by mistral-large-latest" in system.logs("inference_worker")
        assert key not in docker("inspect", system.container("inference_worker"))
        assert key not in system.logs("inference_worker")
    finally:
        override.unlink()
        secret.unlink()
        system.compose("up", "--detach", "--no-deps", "inference_worker")
        system.wait_until_ready()


def test_index_and_token_outlive_down_and_up(system: Checkout) -> None:
    before, token = system.wait_until_ready()["index"], token_of(system)

    system.compose("down")
    system.compose("up", "--detach")

    assert system.wait_until_ready()["index"] == before
    assert token_of(system) == token


# --- The original's commands -------------------------------------------------------------------


@pytest.fixture
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """A fresh checkout in which nothing was started."""
    fresh = Checkout(tmp_path_factory.mktemp("original"))
    fresh.write_documents(PAGES)
    (fresh.folder / ".env").write_text(MINILM_IN_ENV)
    fresh.give_to_owner()
    try:
        yield fresh
    finally:
        fresh.down()


def test_commands_of_the_original_work_word_for_word(checkout: Checkout) -> None:
    for line in (
        "docker build . -t inference-worker -f Dockerfile",
        "docker run --rm -v $(pwd):/app inference-worker python ./utils/db_builder.py "
        "-d dataset/sagemaker_documentation -db database/chroma",
    ):
        subprocess.run(line, shell=True, cwd=checkout.folder, check=True, timeout=1200)  # noqa: S602

    assert (checkout.folder / "database" / "chroma" / "chroma.sqlite3").is_file()
    assert owners(checkout.folder) == {checkout.owner}

    checkout.compose("-f", "./docker-compose.yml", "up", "--detach")
    checkout.wait_until_ready()
    assert "0 of them embedded now" in checkout.logs("db_builder")
    assert checkout.ask(QUESTION).json()["docs"][0] == "endpoints.md"


def test_ready_made_index_is_served_without_documents_and_without_a_build(
    checkout: Checkout,
) -> None:
    docker("run", "--rm", "-v", f"{checkout.folder}:/app", "inference-worker", *BUILD)
    for page in (checkout.folder / "dataset" / "sagemaker_documentation").glob("*.md"):
        page.unlink()
    (checkout.folder / ".env").unlink()

    checkout.compose("up", "--detach")

    checkout.wait_until_ready()
    assert "used as it is" in checkout.logs("db_builder")
    assert checkout.ask(QUESTION).json()["docs"][0] == "endpoints.md"


BUILD = [
    *("python", "./utils/db_builder.py"),
    *("-d", "dataset/sagemaker_documentation", "-db", "database/chroma"),
]


def test_checkout_of_root_is_written_by_the_images_user(checkout: Checkout) -> None:
    if os.getuid():
        pytest.skip("not root: cannot make a checkout of root's")
    checkout.folder.chmod(0o755)  # pytest's are for their owner alone
    for path in [checkout.folder, *checkout.folder.rglob("*")]:
        os.chown(path, 0, 0)

    docker("run", "--rm", "-v", f"{checkout.folder}:/app", "inference-worker", *BUILD)

    assert owners(checkout.folder / "database" / "chroma") == {10001}


def test_image_runs_as_whom_it_is_told_to_and_else_as_its_own_user() -> None:
    assert docker("run", "--rm", "inference-worker", "id", "-u").strip() == "10001"
    told = ["run", "--rm", "--user", "1234:1234", "inference-worker", "id", "-u"]
    assert docker(*told).strip() == "1234"


def test_checkout_locked_for_others_with_what_a_kill_left_in_it_still_starts(
    checkout: Checkout,
) -> None:
    leftover = checkout.folder / "database" / "openvino" / ".exporting-killed"
    leftover.mkdir()
    checkout.give_to_owner()
    for path in [checkout.folder, *checkout.folder.rglob("*")]:
        path.chmod(path.stat().st_mode & ~0o077)
    for name in ("database/openvino", "all-mpnet-base-v2"):  # as the readme says
        (checkout.folder / name).chmod(0o755)

    checkout.compose("up", "--detach")

    checkout.wait_until_ready()
    assert checkout.ask(QUESTION).json()["docs"][0] == "endpoints.md"


def test_checkout_without_documents_fetches_them_and_a_stopped_builder_ends_at_once(
    checkout: Checkout,
) -> None:
    for page in (checkout.folder / "dataset" / "sagemaker_documentation").glob("*.md"):
        page.unlink()
    checkout.compose("up", "--detach", "chroma-gateway")
    checkout.compose("up", "--detach", "--no-deps", "db_builder")

    wait_for(lambda: "api-reference: 1" in checkout.logs("db_builder"), 60, "fetched")
    wait_for(lambda: "Exporting" in checkout.logs("db_builder"), 60, "building")
    checkout.compose("stop", "--timeout", "60", "db_builder")

    assert checkout.inspect("db_builder")["State"]["ExitCode"] == 130
    assert "Interrupted. Run it again" in checkout.logs("db_builder")
    dataset = checkout.folder / "dataset" / "sagemaker_documentation"
    assert (dataset / "api-reference" / "CreateEndpoint.md").is_file()
    assert owners(dataset) == {checkout.owner}


def test_first_start_downloads_the_default_model_and_the_worker_reads_it(
    checkout: Checkout, tmp_path: Path
) -> None:
    name = "sentence-transformers/all-mpnet-base-v2"
    make_mpnet(tmp_path / "model")
    (checkout.folder / ".env").unlink()
    checkout.compose("up", "--detach", "chroma-gateway")
    hub = docker(
        "run", "--detach", "--rm", "--network", f"{checkout.project}_default",
        "--network-alias", "hub", "--volume", f"{PROJECT_ROOT / 'tests'}:/srv/tests:ro",
        "--volume", f"{tmp_path / 'model'}:/model:ro", "--workdir", "/srv",
        PYTHON, "python", "-m", "tests.hub_server", name, "/model",
    ).strip()  # fmt: skip
    try:
        checkout.settings = {"HF_ENDPOINT": "http://hub:9000"}
        checkout.compose("up", "--detach")
        index = checkout.wait_until_ready()["index"]
    finally:
        docker("kill", hub)

    assert (index["embedding_model"], index["dimension"]) == (name, 64)
    models = checkout.folder / "all-mpnet-base-v2"
    assert list(models.glob("models--*/snapshots/*/model.safetensors"))
    assert owners(models) == {checkout.owner}
    assert checkout.ask(QUESTION).status_code == 200
    assert "0 of them embedded now" in checkout.compose("run", "--rm", "db_builder")


def test_gpu_file_is_valid_alone() -> None:
    for file in ("docker-compose.yml", "docker-compose-gpu.yml"):
        subprocess.run(
            [*compose_command(), "-f", file, "config", "--quiet"], cwd=PROJECT_ROOT, check=True
        )
