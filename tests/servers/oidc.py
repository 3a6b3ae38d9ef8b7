"""A local OpenID Connect issuer: describes itself, publishes its keys, and signs tokens."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.servers.threaded import QuietHandler, http_server

AUDIENCE = "sagemaker-docs"


@dataclass
class Issuer:
    """The issuer's keys, and the requests that it received."""

    url: str = ""
    keys: dict[str, Any] = field(default_factory=dict)
    """Private keys by id."""
    is_down: bool = False
    asked: list[str] = field(default_factory=list)

    def new_key(self, id_: str, algorithm: str = "RS256") -> None:
        """Publish another key."""
        is_rsa = algorithm.startswith(("RS", "PS"))
        self.keys[id_] = (
            rsa.generate_private_key(public_exponent=65537, key_size=2048)
            if is_rsa
            else ec.generate_private_key(ec.SECP256R1()),
            algorithm,
        )

    def token(
        self, roles: Any = (), *, id_: str = "first", seconds: int = 300, **claims: Any
    ) -> str:
        """Sign a token that is valid for so long; a claim that is None is left out."""
        now = int(time.time())
        standard = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "anna",
            "iat": now,
            "exp": now + seconds,
        }
        known = standard | {"roles": list(roles) if isinstance(roles, tuple) else roles} | claims
        payload = {name: value for name, value in known.items() if value is not None}
        key, algorithm = self.keys[id_]
        return jwt.encode(payload, key, algorithm=algorithm, headers={"kid": id_})

    def document(self, path: str) -> Any:
        """What is published at a path."""
        if path == "/.well-known/openid-configuration":
            return {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
        published = []
        for id_, (key, algorithm) in self.keys.items():
            signer = jwt.get_algorithm_by_name(algorithm)
            jwk = signer.to_jwk(key.public_key(), as_dict=True)
            published.append(jwk | {"kid": id_, "alg": algorithm, "use": "sig"})
        return {"keys": published}


@contextmanager
def oidc_issuer() -> Iterator[Issuer]:
    """Serve an issuer with one key."""
    issuer = Issuer()
    lock = threading.Lock()

    class Handler(QuietHandler):
        def do_GET(self) -> None:  # noqa: N802 - the name in http.server
            with lock:
                issuer.asked.append(self.path)
            if issuer.is_down:
                self.send(503, {})
                return
            body = json.dumps(issuer.document(self.path)).encode()
            self.send(200, {"Content-Type": "application/json"}, body)

    issuer.new_key("first")
    with http_server(Handler) as url:
        issuer.url = url
        yield issuer
