"""Consistency of the compose files and the Dockerfiles; needs no Docker engine."""

import re
from typing import Any

import yaml

from tests.containers import compose_files
from utils.settings import PROJECT_ROOT, Settings

DOCKERFILE = (PROJECT_ROOT / "Dockerfile").read_text()
GATEWAY = (PROJECT_ROOT / "deploy" / "chroma-gateway" / "Dockerfile").read_text()


def argument(name: str, dockerfile: str = DOCKERFILE) -> str:
    found = re.search(rf"^ARG {name}=(.+)$", dockerfile, flags=re.MULTILINE)
    assert found, name
    return found.group(1)


def pinned(package: str, file: str) -> str:
    found = re.search(rf"^{package}==(\S+)", (PROJECT_ROOT / file).read_text(), re.MULTILINE)
    assert found, package
    return found.group(1)


def composed(path: Any) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(path.read_text())
    return read


def test_defaults_are_those_of_the_dockerfiles() -> None:
    defaults = compose_files.defaults()

    assert defaults["PYTHON_IMAGE"] == argument("PYTHON_IMAGE")
    assert defaults["NGINX_IMAGE"] == argument("NGINX_IMAGE", GATEWAY)
    assert defaults["TORCH_CPU_INDEX"] == argument("TORCH_CPU_INDEX")


def test_versions_agree() -> None:
    chroma = pinned("chromadb", "requirements-worker.in")
    image, _, _ = compose_files.defaults()["CHROMA_IMAGE"].partition("@")

    assert image == f"chromadb/chroma:{chroma}"
    cuda = pinned("torch", "requirements-cuda.in")
    assert pinned("torch", "requirements-cpu.in") == f"{cuda}+cpu"


def test_settings_passed_to_containers_exist() -> None:
    others = {
        "WRITES",
        "RUST_LOG",
        "HF_ENDPOINT",
        "HF_TOKEN",
        "HOME",
        "HTTPS_PROXY",
        "NO_PROXY",
        "no_proxy",
        "OLLAMA_KEEP_ALIVE",
    }
    known = {name.upper() for name in Settings.model_fields} | {"INFERECE_MODEL"} | others
    for service in compose_files.services().values():
        assert set(service.get("environment", {})) <= known


def test_only_the_worker_is_published() -> None:
    services = compose_files.services()

    assert [name for name, service in services.items() if "ports" in service] == [
        "inference_worker"
    ]
    assert services["chroma"]["networks"] == ["store"]
    for path in (compose_files.CPU, compose_files.GPU):
        assert composed(path)["networks"]["store"]["internal"] is True


def test_keys_and_the_token_are_passed_only_to_their_users() -> None:
    for name, service in compose_files.services().items():
        environment = service.get("environment", {})
        assert ("MISTRAL_API_KEY" in environment) == (name == "inference_worker")
        assert ("EMBEDDING_API_KEY" in environment) == (name in {"db_builder", "inference_worker"})
        assert ("CHROMA_TOKEN" in environment) == (name == "chroma-gateway")


def test_every_service_is_hardened_and_limited() -> None:
    for service in compose_files.services().values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert {"mem_limit", "pids_limit", "restart"} <= set(service)
        assert set(service["logging"]["options"]) == {"max-size", "max-file"}


def test_services_that_start_as_root_may_only_switch_user() -> None:
    for name, service in compose_files.services().items():
        if name in {"chroma", "db_builder", "ollama"}:
            assert service["cap_add"] == ["CHOWN", "DAC_READ_SEARCH", "SETGID", "SETUID"]
        else:
            assert "cap_add" not in service


def test_gpu_file_differs_in_the_image_and_the_devices_only() -> None:
    cpu, gpu = composed(compose_files.CPU), composed(compose_files.GPU)

    assert gpu["networks"] == cpu["networks"]
    assert gpu["volumes"] == cpu["volumes"]
    assert gpu["services"].keys() == cpu["services"].keys()
    for name, service in gpu["services"].items():
        same = {key: value for key, value in service.items() if key in cpu["services"][name]}
        assert same == cpu["services"][name]
        more = set(service) - set(same)
        if name in {"db_builder", "inference_worker"}:
            assert more - {"mem_limit"} == {"image", "deploy", "build"}
        elif name == "ollama":
            assert more == {"deploy"}
        else:
            assert not more


def test_only_ollama_needs_the_profile_and_nothing_waits_for_it() -> None:
    for path in (compose_files.CPU, compose_files.GPU):
        services = composed(path)["services"]
        profiles = {name: each["profiles"] for name, each in services.items() if "profiles" in each}
        assert profiles == {"ollama": ["local"]}
        assert not [each for each in services.values() if "ollama" in each.get("depends_on", {})]


def test_only_the_worker_reaches_ollama_at_a_name_that_no_other_host_has() -> None:
    services = compose_files.services()
    url = services["inference_worker"]["environment"]["OLLAMA_URL"]
    (alias,) = services["ollama"]["networks"]["language-model"]["aliases"]

    assert url == f"http://{alias}:11434"
    assert "." in alias, "a name without a dot is looked up in the host's search domains too"
    assert alias in compose_files.defaults()["NO_PROXY"].split(",")
    assert set(services["ollama"]["networks"]) == {"language-model"}
    connected = {name for name, each in services.items() if "language-model" in each["networks"]}
    assert connected == {"inference_worker", "ollama"}


def test_model_folder_is_read_from_its_mount() -> None:
    target = "/app/${EMBEDDING_MODEL_PATH:-./all-mpnet-base-v2}"
    for path in (compose_files.CPU, compose_files.GPU):
        assert composed(path)["x-model-folder"]["target"] == target
    services = compose_files.services()
    for name in ("db_builder", "inference_worker"):
        assert services[name]["environment"]["EMBEDDING_MODEL_PATH"] == target
    assert target in services["db_builder"]["environment"]["WRITES"].split()
