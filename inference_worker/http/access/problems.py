"""The problems of requests without the key that they need, or beyond their client's limits."""

from inference_worker.http.problems import Problem

KEY_MISSING = Problem(
    "key-missing",
    401,
    "This needs a key",
    "Send `Authorization: Bearer <your key>`; the operator of this service issues keys.",
)
KEY_INVALID = Problem(
    "key-invalid",
    401,
    "The key is not valid",
    "It is unknown, expired or revoked. Ask the operator of this service for a new one.",
)
ROLE_MISSING = Problem(
    "role-missing",
    403,
    "The key does not allow this",
    "Use a key of a higher role, or ask the operator of this service for one.",
)
CHANGES_OFF = Problem(
    "changes-off",
    403,
    "Documents cannot be changed here",
    "The operator must set ADMIN_KEY, or create a key that allows it "
    "(python -m inference_worker.keys); requests then send `Authorization: Bearer <that key>`.",
)
SIGN_ON_UNAVAILABLE = Problem(
    "sign-on-unavailable",
    503,
    "The sign-on that issues the tokens does not answer",
    "Try again in a few seconds; keys of this service work meanwhile.",
)
TOO_MANY_WRONG_KEYS = Problem(
    "too-many-wrong-keys",
    429,
    "Too many wrong keys came from this address",
    "Wait for the seconds in Retry-After, and check the key.",
)
RATE_LIMITED = Problem(
    "rate-limited",
    429,
    "This client has used up its limit",
    "Wait for the seconds in Retry-After. The operator of this service sets the limits; a key may "
    "have higher ones.",
)
ALL = (
    KEY_MISSING,
    KEY_INVALID,
    ROLE_MISSING,
    CHANGES_OFF,
    SIGN_ON_UNAVAILABLE,
    TOO_MANY_WRONG_KEYS,
    RATE_LIMITED,
)
