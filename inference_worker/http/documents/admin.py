"""Checks the admin key of requests that change documents."""

import hmac
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from inference_worker.http.documents.problems import (
    ADMIN_KEY_MISSING,
    ADMIN_KEY_NOT_SET,
    ADMIN_KEY_WRONG,
)
from inference_worker.http.problems import ProblemError
from utils.settings import Settings

_bearer = HTTPBearer(
    auto_error=False, scheme_name="admin key", description="The service's ADMIN_KEY."
)


async def require_admin(
    request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> None:
    """Reject a request without the admin key."""
    settings: Settings = request.app.state.settings
    if settings.admin_key is None:
        raise ProblemError(ADMIN_KEY_NOT_SET)
    if given is None:
        raise ProblemError(ADMIN_KEY_MISSING, headers={"WWW-Authenticate": "Bearer"})
    key = settings.admin_key.get_secret_value()
    if not hmac.compare_digest(given.credentials.encode(), key.encode()):
        raise ProblemError(ADMIN_KEY_WRONG)


Admin = Depends(require_admin)
