"""The compose files, parsed without a Docker engine."""

import re
from typing import Any

import yaml

from utils.settings import PROJECT_ROOT

SERVICES = PROJECT_ROOT / "deploy" / "services.yml"
CPU = PROJECT_ROOT / "docker-compose.yml"
GPU = PROJECT_ROOT / "docker-compose-gpu.yml"


def services() -> dict[str, dict[str, Any]]:
    """Each service of deploy/services.yml by name."""
    read: dict[str, dict[str, Any]] = yaml.safe_load(SERVICES.read_text())["services"]
    return read


def defaults() -> dict[str, str]:
    """The variables with a default in the files, and the default."""
    text = "".join(path.read_text() for path in (SERVICES, CPU, GPU))
    return dict(re.findall(r"\$\{([A-Z_]+):-([^}]+)\}", text))


def passed_on() -> set[str]:
    """The variables passed unchanged from .env or the shell to containers and builds."""
    return {
        name
        for service in services().values()
        for pairs in (service.get("environment", {}), service.get("build", {}).get("args", {}))
        for name, value in pairs.items()
        if value is None
    }


def names_read() -> set[str]:
    """Every variable that .env may set for the compose files."""
    return set(defaults()) | passed_on()
