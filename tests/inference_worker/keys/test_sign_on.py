"""Tokens of the company's sign-on count as keys; all others do not."""

import base64
import hmac
import json
from collections.abc import Iterator
from typing import Any

import jwt
import pytest

from inference_worker.keys import sign_on
from inference_worker.keys.key import Identity, Role
from inference_worker.keys.key_ring import KeyRing
from inference_worker.keys.sign_on import SignOn, SignOnUnavailableError, is_token
from tests.servers.oidc import AUDIENCE, Issuer, oidc_issuer
from utils.settings import Settings

pytestmark = pytest.mark.process


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with oidc_issuer() as running:
        yield running


def verifier(issuer: Issuer, **settings: Any) -> SignOn:
    return SignOn(issuer.url, Settings(_env_file=None, **settings))


async def identified(issuer: Issuer, token: str, **settings: Any) -> Identity | None:
    return await verifier(issuer, **settings).identify(token.encode())


@pytest.mark.parametrize(
    ("claims", "setting", "role"),
    [
        ({"roles": ["read"]}, "roles", Role.READ),
        ({"roles": ["other", "write", "read"]}, "roles", Role.WRITE),
        ({"roles": "admin read"}, "roles", Role.ADMIN),
        ({"roles": ["owner"]}, "roles", None),
        ({"roles": None}, "roles", None),
        ({"roles": {"read": 1}}, "roles", None),
        ({"roles": [["admin"], {}]}, "roles", None),
        ({"realm_access": {"roles": ["admin"]}}, "realm_access.roles", Role.ADMIN),
        ({"https://docs.test/role": "write"}, "https://docs.test/role", Role.WRITE),
    ],
)
async def test_role_is_the_highest_that_the_claim_names(
    claims: dict[str, Any], setting: str, role: Role | None, issuer: Issuer
) -> None:
    token = issuer.token(**{"roles": None, **claims})
    found = await identified(issuer, token, oidc_role_claim=setting)
    assert found == Identity("oidc:anna", role)


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"sub": "a-1"}, "oidc:a-1"),
        ({"email": "boss@docs.test", "preferred_username": "boss"}, "oidc:anna"),  # may be edited
        ({"aud": ["other", AUDIENCE]}, "oidc:anna"),
        ({"seconds": -5}, "oidc:anna"),  # within the leeway
    ],
)
async def test_valid_token_names_its_bearer(
    claims: dict[str, Any], name: str, issuer: Issuer
) -> None:
    found = await identified(issuer, issuer.token(("read",), **claims))
    assert found == Identity(name, Role.READ)


@pytest.mark.parametrize(
    "claims",
    [
        {"seconds": -60},
        {"nbf": 32_503_680_000},  # in the year 3000
        {"aud": "another-service"},
        {"aud": None},
        {"exp": None},
        {"sub": None},
        {"iss": "https://elsewhere.test"},
        {"iss": None},
    ],
)
async def test_token_for_another_time_place_or_service_is_not_valid(
    claims: dict[str, Any], issuer: Issuer
) -> None:
    assert await identified(issuer, issuer.token(("admin",), **claims)) is None


@pytest.mark.parametrize("algorithm", ["RS512", "PS256", "ES256"])
async def test_signatures_of_other_algorithms_are_checked(algorithm: str, issuer: Issuer) -> None:
    issuer.new_key("other", algorithm)
    found = await identified(issuer, issuer.token(("read",), id_="other"))
    assert found == Identity("oidc:anna", Role.READ)


async def test_forged_tokens_are_not_valid(issuer: Issuer) -> None:
    genuine = issuer.token(("read",))
    header, payload, signature = genuine.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    published = json.dumps(issuer.document("/keys")["keys"][0])
    with oidc_issuer() as stranger:
        stranger.url = issuer.url
        forged = stranger.token(("admin",))
    raised = base64.urlsafe_b64encode(json.dumps(claims | {"roles": ["admin"]}).encode()).decode()
    for token in (
        forged,
        f"{header}.{raised.rstrip('=')}.{signature}",
        f"{header}.{payload}.",
        f"{header}.{payload}.{signature[:-4]}AAAA",
        jwt.encode(claims, "", algorithm="none", headers={"kid": "first"}),
        signed_with_what_is_public(claims, published),
        "ey.ey.ey",
        "..",
        "eyJhbGciOiJSUzI1NiJ9.e30.",
    ):
        assert await identified(issuer, token) is None


def signed_with_what_is_public(claims: dict[str, Any], published: str) -> str:
    """As if the issuer's public key were a secret that it shares."""
    parts = [{"alg": "HS256", "kid": "first"}, claims | {"roles": ["admin"]}]
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts]
    signature = hmac.digest(published.encode(), b".".join(encoded), "sha256")
    return b".".join([*encoded, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


async def test_new_key_of_the_issuer_is_fetched_but_not_for_each_invented_id(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = verifier(issuer)
    assert await one.identify(issuer.token(("read",)).encode())
    issuer.new_key("second")
    token = issuer.token(("read",), id_="second").encode()
    for _ in range(50):
        assert await one.identify(token) is None
    assert len(issuer.asked) == 2  # its description and its keys, once
    monkeypatch.setattr(sign_on, "FETCH_SECONDS", 0.0)
    assert await one.identify(token)


async def test_known_keys_serve_while_the_issuer_is_down(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    one, token = verifier(issuer), issuer.token(("read",)).encode()
    issuer.is_down = True
    with pytest.raises(SignOnUnavailableError):
        await one.identify(token)
    assert "OIDC_ISSUER: its keys cannot be fetched: HTTPStatusError" in caplog.text
    monkeypatch.setattr(sign_on, "FETCH_SECONDS", 0.0)
    issuer.is_down = False
    assert await one.identify(token)
    issuer.is_down = True
    monkeypatch.setattr(sign_on, "_KEYS_SECONDS", 0.0)
    assert await one.identify(token)


async def test_issuer_of_another_name_is_not_believed(issuer: Issuer) -> None:
    issuer.url += "/"
    with pytest.raises(SignOnUnavailableError):
        await SignOn(issuer.url.rstrip("/"), Settings(_env_file=None)).identify(
            issuer.token(("read",)).encode()
        )


def test_with_a_sign_on_reading_needs_a_token_or_a_key() -> None:
    keys = KeyRing(Settings(_env_file=None, oidc_issuer="https://sign-on.test"))
    assert not keys.reading_is_open
    assert keys.describe() == "Reading needs a key; changes of documents need a key"


def test_tokens_are_told_from_keys_by_their_form() -> None:
    assert is_token(b"eyJh.eyJi.c2ln")
    assert not any(map(is_token, (b"sdq_abc", b"eyJh", b"a.b.c", b"")))
