"""Proxies of the environment are used or avoided by all clients, or one line names the variable."""

import os
from collections.abc import Iterator
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from langchain_core.messages import HumanMessage
from pydantic import SecretStr

from database.embedding.api.clients import connect_provider
from database.embedding.api.embeddings import ApiEmbeddings, Pace
from database.embedding.packaged_models import MINILM
from database.index.store import open_store
from database.snapshot.storage import Storage
from dataset import fetch
from inference_worker import ask
from inference_worker.generation.providers import language_model_from
from tests.files.pages import write_pages
from tests.servers.chat.mistral import MistralServer
from tests.servers.chat.ollama import OllamaServer
from tests.servers.chat.openai import OpenAIServer
from tests.servers.chat.replies import answer
from tests.servers.chat.server import ChatServer
from tests.servers.chroma import ChromaServer
from tests.servers.embedding import EmbeddingServer
from tests.servers.proxy import ProxyServer
from tests.servers.web import markdown, web_server
from utils import db_builder
from utils.errors import (
    EmbeddingApiError,
    SettingsError,
    SnapshotError,
    StoreUnreachableError,
)
from utils.proxies import prepare_proxies, proxy_variable
from utils.settings import Settings, load_settings

PASSWORD = "hunter2"
VARIABLES = [f"{scheme}_proxy" for scheme in ("http", "https", "all", "no")]
needs_socks = pytest.mark.skipif(not find_spec("socksio"), reason="needs socksio")


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the machine's proxies, and undo what the tests set."""
    for name in VARIABLES:
        for spelling in (name, name.upper()):
            monkeypatch.setenv(spelling, "")  # noted, to be restored
            monkeypatch.delenv(spelling)


def port_of(url: str) -> int:
    return urlsplit(url).port or 0


@pytest.mark.parametrize(
    "entry",
    [
        "[::1]", "::1", "[::1]:8000", "10.0.0.0/8", "fd00::/8", "[fd00::]/8", "10.1.2.3:8000",
        "*.example.com", ".example.com", "a,b", " a , ,b ", "a b", "host:80", "*", "localhost",
    ],
)  # fmt: skip
def test_every_common_form_of_no_proxy_can_be_used(
    entry: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", entry)
    for _ in range(2):  # also what it was rewritten to
        prepare_proxies([])
        with httpx.Client():
            pass


@pytest.mark.parametrize(
    ("entry", "address", "is_direct"),
    [
        ("", "http://10.1.2.3:8000", False),
        ("10.0.0.0/8", "http://10.1.2.3:8000", True),
        ("10.0.0.0/8", "http://11.1.2.3:8000", False),
        ("10.1.2.3:8000", "http://10.1.2.3:8000", True),
        ("fd00::/8", "http://[fd00::7]:8000", True),
        ("[fd00::]/8", "http://[fd00::7]:8000", True),
        ("fd00::/8", "http://[fe00::7]:8000", False),
        ("[fd00::7]", "http://[fd00::7]:8000", True),
        ("*.example.com", "http://docs.example.com", True),
        ("example.com", "http://docs.example.com", True),
        ("example.com", "http://notexample.com", False),
        ("*", "http://docs.example.com", True),
        # Without being asked: this machine, and a container's network.
        ("", "http://localhost:8000", True),
        ("", "http://127.0.0.1:8000", True),
        ("", "http://127.0.1.1:8000", True),
        ("", "http://[::1]:8000", True),
        ("", "http://chroma-gateway:8000", True),
        ("", "https://api.mistral.ai/v1", False),
    ],
)
def test_no_proxy_is_followed(
    entry: str, address: str, *, is_direct: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://proxy.test:3128")
    monkeypatch.setenv("NO_PROXY", entry)

    prepare_proxies([address])

    assert proxy_variable(address) == ("" if is_direct else "ALL_PROXY")
    with httpx.Client() as client:
        transport = client._transport_for_url(httpx.URL(address))  # noqa: SLF001 - not exposed
        assert (transport is client._transport) is is_direct  # noqa: SLF001


@pytest.mark.parametrize("name", ["HTTP_PROXY", "https_proxy", "ALL_PROXY"])
@pytest.mark.parametrize(
    "value", ["socks4://proxy:1080", "ftp://proxy", "http://", "http://proxy:x", "::1",
              f"ftp://me:{PASSWORD}@proxy", f"http://me:{PASSWORD}@proxy:99999", "http://[::1",
              "http://proxy..test:3128"],
)  # fmt: skip
def test_invalid_proxy_is_a_one_line_error_that_names_the_variable(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=rf"^{name}: must be the address of a proxy") as refused:
        load_settings()
    assert PASSWORD not in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "address",
    ["https://[::1/v1", "https://h:x/v1", "http://exa\u2100mple.com/v1", "http://a..b/v1"],
)
@pytest.mark.parametrize(
    "name",
    ["DATABASE", "EMBEDDING_BASE_URL", "INFERENCE_BASE_URL", "MISTRAL_BASE_URL", "OLLAMA_URL"],
)
def test_invalid_address_is_a_one_line_error_that_names_the_variable(
    name: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv(name, address)
    with pytest.raises(SettingsError, match=rf"^{name}: must be .*See \.env\.example\.$"):
        load_settings()


def test_invalid_address_of_a_snapshot_or_a_mirror_is_a_one_line_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    for source, option in (("developer-guide", "--guide-url"), ("live", "--live-url")):
        options = ["--source", source, option, "http://[::1", "-d", str(tmp_path)]
        assert fetch.main(options) == 1
        error = capsys.readouterr().err
        assert (option in error, error.count("\n")) == (True, 1)
    with pytest.raises(SnapshotError, match="is not an address"):
        Storage("http://[::1/x")
    monkeypatch.setenv("SNAPSHOT_URL", "http://[::1/x")
    with pytest.raises(SettingsError, match=r"^SNAPSHOT_URL: must be a folder"):
        load_settings()


@pytest.mark.parametrize("entry", ["[::1", "a:b:c", "host:port", "é\u0301\u200b.com"])
def test_invalid_no_proxy_is_a_one_line_error_that_names_the_variable(
    entry: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", f"localhost,{entry}")
    with pytest.raises(SettingsError, match=r"^NO_PROXY: '.*' is neither a host name") as refused:
        load_settings()
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("every_host", ["*", "localhost, *"])
def test_proxies_that_no_proxy_turns_off_are_not_read(
    every_host: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks9://x")
    monkeypatch.setenv("NO_PROXY", every_host)
    with web_server({"/a.md": markdown("# A\n\nWords.\n")}) as site:
        options = ["--source", "web", "--url", f"{site.url}/a.md", "-d", str(tmp_path)]
        assert fetch.main(options) == 0
    assert proxy_variable("https://h.example") == ""


@pytest.mark.skipif(bool(find_spec("socksio")), reason="socksio is installed")
def test_missing_package_for_socks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1080")
    with pytest.raises(SettingsError, match=r"^ALL_PROXY: .* pip install socksio"):
        load_settings()


def test_environment_without_proxies_is_not_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    before = dict(os.environ)
    prepare_proxies(["http://10.1.2.3:8000"])
    assert dict(os.environ) == before


@pytest.fixture
def refusing() -> Iterator[ProxyServer]:
    with ProxyServer({}) as proxy:
        yield proxy


@pytest.mark.process
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_local_store_is_reached_without_the_proxy(
    host: str, tmp_path: Path, refusing: ProxyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ChromaServer(tmp_path, host) as chroma:
        monkeypatch.setenv("HTTP_PROXY", f"http://{refusing.address}")
        settings = load_settings(database=chroma.url)
        with closing(open_store(settings.database)) as store:
            assert store.live() is None
    assert refusing.requested == []


@pytest.mark.parametrize(
    "address", ["http://chroma.example.com:8000", "https://chroma.example.com"]
)
@pytest.mark.parametrize("scheme", ["http", pytest.param("socks5", marks=needs_socks)])
def test_store_behind_a_proxy_that_fails_names_the_variable(
    scheme: str, address: str, refusing: ProxyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", f"{scheme}://{refusing.address}")
    settings = load_settings(database=address)

    with pytest.raises(StoreUnreachableError, match="proxy of ALL_PROXY; NO_PROXY avoids") as gone:
        open_store(settings.database)

    assert str(gone.value).isprintable()
    assert refusing.requested == ["chroma.example.com"]


PROXIES = pytest.mark.parametrize("scheme", ["http", pytest.param("socks5h", marks=needs_socks)])


@PROXIES
@pytest.mark.parametrize(
    ("server", "model"),
    [
        (MistralServer, "mistral-large-latest"),
        (OllamaServer, "ollama:small"),
        (OpenAIServer, "openai:gpt"),
    ],
)
async def test_language_model_is_reached_through_the_proxy(
    scheme: str, server: type[ChatServer], model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server() as chat, ProxyServer({"model.test": port_of(chat.url)}) as proxy:
        chat.default = answer("Oak.")
        monkeypatch.setenv("ALL_PROXY", f"{scheme}://{proxy.address}")
        address = chat.url.replace("127.0.0.1", "model.test")
        prepare_proxies([address])
        settings = Settings(
            _env_file=None,
            inference_model=model,
            mistral_api_key=SecretStr("key"),
            mistral_base_url=address if server is MistralServer else "http://unused.test/v1",
            inference_base_url=address,
        )
        llm = language_model_from(settings)
        assert llm is not None
        written = await llm.generate([HumanMessage("Which wood?")])
        await llm.aclose()

    assert written.text == "Oak."
    assert proxy.requested == ["model.test"]


@PROXIES
@pytest.mark.parametrize("provider", ["mistralai", "ollama", "openai"])
def test_embedding_api_is_reached_through_the_proxy(
    scheme: str, provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with EmbeddingServer() as api, ProxyServer({"api.test": port_of(api.url)}) as proxy:
        monkeypatch.setenv("ALL_PROXY", f"{scheme}://{proxy.address}")
        address = api.address(provider).replace("127.0.0.1", "api.test")
        prepare_proxies([address])
        client = connect_provider(provider, "m", address=address, key="key", seconds=5)
        vectors = client.embed(["Oak."])
        client.close()

    assert len(vectors) == 1
    assert set(proxy.requested) == {"api.test"}


def test_embedding_api_behind_a_proxy_that_fails_names_the_variable(
    refusing: ProxyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", refusing.address)
    client = connect_provider("ollama", "m", address="http://api.test", key=None, seconds=2)
    embeddings = ApiEmbeddings("ollama:m", client, Pace(0.1, 2, 8))

    with pytest.raises(EmbeddingApiError, match="the proxy of HTTP_PROXY; NO_PROXY avoids it"):
        embeddings.embed_query("Oak.")


def test_use_of_a_proxy_is_logged(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:{PASSWORD}@proxy.test:3128")
    caplog.set_level("INFO")

    prepare_proxies(["https://api.mistral.ai/v1", "http://localhost:8000"])

    assert caplog.messages == ["Connections to api.mistral.ai use the proxy of HTTPS_PROXY"]


@pytest.mark.process
@pytest.mark.model
def test_builder_and_service_reach_local_servers_whatever_the_proxies(
    tmp_path: Path,
    refusing: ProxyServer,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    pages = write_pages(tmp_path / "pages")
    with ChromaServer(tmp_path / "chroma", "::1") as chroma, MistralServer() as mistral:
        mistral.default = answer("Set the key [1].")
        environment = {
            "ALL_PROXY": refusing.address,
            "NO_PROXY": "[::1],10.0.0.0/8,fd00::/8",
            "DATABASE": chroma.url,
            "MISTRAL_API_KEY": "key",
            "MISTRAL_BASE_URL": mistral.url,
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)

        assert db_builder.main(["-d", str(pages), "-m", MINILM]) == 0
        assert ask.main(["How is the storage volume of an endpoint encrypted?"]) == 0

    assert "Set the key [1]." in capfd.readouterr().out
    assert refusing.requested == []
