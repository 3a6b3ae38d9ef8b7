"""Addresses that guess keys are blocked, and those who share them are not."""

import logging
from pathlib import Path
from typing import Any

import pytest

from inference_worker.http.access.wrong_keys import MAX_WRONG, WrongKeys
from inference_worker.keys.key import Role
from tests.servers.access_keys import REFUSED, REQUESTS, SECRETS, ask, outcome
from tests.servers.oidc import Issuer
from tests.servers.service import serve


@pytest.mark.process
def test_expired_tokens_block_no_key_of_others(database: str, keys: Path, issuer: Issuer) -> None:
    """A page that polls with an expired token may share its address with others."""
    row = next(row for row in REQUESTS if row.path == "/v1/documents")
    settings: dict[str, Any] = {"keys_file": keys, "oidc_issuer": issuer.url}
    with serve(database, **settings) as service:
        for _ in range(2 * MAX_WRONG):
            stale = ask(service, row, token=issuer.token(("read",), seconds=-600))
            assert outcome(stale) == (401, "key-invalid")
        assert ask(service, row, "read").status_code == 200


@pytest.mark.process
def test_address_with_too_many_wrong_keys_is_slowed(
    database: str, keys: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    row = next(row for row in REQUESTS if row.path == "/v1/documents")
    with serve(database, keys_file=keys) as service:
        assert ask(service, row, "read").status_code == 200
        statuses = [ask(service, row, f"guess-{number}").status_code for number in range(15)]
        assert statuses == [401] * MAX_WRONG + [429] * (15 - MAX_WRONG)
        slowed = ask(service, row, "write")  # right, but it could be a guess
        assert outcome(slowed) == (429, "too-many-wrong-keys")
        assert slowed.headers["Retry-After"] == "60"
        assert ask(service, row, "read").status_code == 200  # known from this address
        assert ask(service, row).status_code == 401
    wrong = [vars(each) for each in caplog.records if each.message == "key refused"]
    expected = {"reason": "key-invalid", "address": "127.0.0.1", "path": "/v1/documents"}
    assert [each | expected for each in wrong] == wrong
    assert len(wrong) == MAX_WRONG
    assert not any(secret in caplog.text for secret in SECRETS.values())


@pytest.mark.process
def test_useless_keys_of_readers_slow_nobody(database: str) -> None:
    """OpenAI's clients send any key where none is needed, and may share an address with others."""
    documents = next(row for row in REQUESTS if row.path == "/v1/documents")
    purge = next(row for row in REQUESTS if row.role is Role.ADMIN)
    limits = {"address_limits": "requests 90/day", "key_limits": "none"}
    with serve(database, admin_key=SECRETS["admin"], **limits) as service:
        for number in range(2 * MAX_WRONG):
            assert ask(service, documents, f"anything-{number}").status_code == 200
        guessed = ask(service, documents, "admin")  # not checked any more: it could be a guess
        assert guessed.headers["RateLimit"].startswith('"requests-per-day";r=')
        assert ask(service, purge, "admin").status_code not in REFUSED


@pytest.mark.parametrize(
    ("one", "other", "are_one"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("fe80::1%eth0", "fe80::2", True),
        ("", "testclient", False),
    ],
)
def test_addresses_of_one_client_are_slowed_together(one: str, other: str, are_one: bool) -> None:
    wrong = WrongKeys()
    for _ in range(MAX_WRONG):
        wrong.record_wrong(one)
    assert wrong.blocks(one, "digest")
    assert wrong.blocks(other, "digest") is are_one
