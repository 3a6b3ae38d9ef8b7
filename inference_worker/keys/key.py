"""A key: the secret that a client sends, as the service knows it."""

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from utils.rates import Rates, format_rates, parse_rates

PREFIX = "sdq_"
"""How the secrets begin that `new_secret` makes, so that scanners of code recognise one."""
_SECRET_BYTES = 32


class Role(StrEnum):
    """What a key allows; each role includes those before it."""

    READ = "read"
    """Questions, searches, reading documents."""
    WRITE = "write"
    """Adding, replacing and deleting documents."""
    ADMIN = "admin"
    """Purging documents."""

    def includes(self, other: "Role") -> bool:
        """Whether a key of this role may do what the other role allows."""
        order = list(Role)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who sends a request."""

    name: str
    """Of the key, or of the bearer of a token."""
    role: Role | None
    """None if a token names no role of this service."""
    rates: Rates = field(default_factory=dict)
    """Those that differ from the settings'."""


class Key(BaseModel):
    """A key without its secret, of which only the SHA-256 is known.

    The secrets are random and long, so that neither a salt nor a slow hash would protect more.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$")]
    """Who or what sends it, for the logs."""
    role: Role
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    created: AwareDatetime | None = None
    expires: AwareDatetime | None = None
    revoked: AwareDatetime | None = None
    limits: str = ""
    """Rates that differ from the settings' KEY_LIMITS, in the same form."""

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.created and self.expires and self.expires <= self.created:
            raise ValueError("expires before it was created")
        return self

    @cached_property
    def rates(self) -> Rates:
        """`limits`, by kind."""
        return parse_rates(self.limits) if self.limits else {}

    @field_validator("limits")
    @classmethod
    def _check_limits(cls, text: str) -> str:
        return format_rates(parse_rates(text)) if text else ""

    @property
    def identity(self) -> Identity:
        """Who sends this key."""
        return Identity(self.name, self.role, self.rates)

    def state(self, now: datetime) -> str:
        """In words: "valid", "expired" or "revoked"."""
        if self.revoked:
            return "revoked"
        return "expired" if self.expires and self.expires <= now else "valid"


def new_secret() -> str:
    """A random secret of 256 bits."""
    return PREFIX + secrets.token_urlsafe(_SECRET_BYTES)


def digest_of(secret: bytes) -> str:
    """The SHA-256 of a secret, in hexadecimal."""
    return hashlib.sha256(secret).hexdigest()
