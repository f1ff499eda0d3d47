"""Who calls: the API key of a request, and what it may do."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Final

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from schemas.model import DialogueModel
from services.portal import api_keys
from services.portal.api.problems import problem
from services.portal.api_keys import ApiKey, Scope
from services.portal.portal import Portal
from services.portal.store import keys

BEARER: Final = HTTPBearer(
    scheme_name="ApiKey",
    bearerFormat="nd_<key id>_<secret>",
    description="An API key, made by `nardialog api-keys new`.",
    auto_error=False,
)
_NOBODY: Final = api_keys.secret_hash("")


def portal_of(request: Request) -> Portal:
    """The portal that a request came to."""
    found: Portal = request.app.state.portal
    return found


def model_of(request: Request) -> DialogueModel:
    """The dialogue model that cases are held against."""
    found: DialogueModel = request.app.state.model
    return found


def caller(*scopes: Scope) -> Callable[..., Awaitable[ApiKey]]:
    """A dependency: the key of the request, which has one of these scopes. Raises a problem: 401, 403."""

    async def called(
        portal: Annotated[Portal, Depends(portal_of)],
        given: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)],
    ) -> ApiKey:
        key = await _known(portal, given.credentials if given else "")
        if not any(key.may(scope) for scope in scopes):
            wanted = " or ".join(scope.value for scope in scopes)
            raise problem(403, "missing-scope", "Not with this key", f"The key lacks the scope {wanted}.")
        return key

    return called


async def _known(portal: Portal, text: str) -> ApiKey:
    key_id, secret = api_keys.read(text) or ("", "")
    now = portal.clock.now()
    async with portal.database.transaction() as connection:
        key = await keys.find(connection, key_id)
        known = api_keys.is_secret(secret, key.secret_hash if key else _NOBODY)
        if key is not None and known and key.state(now) == "active":
            await keys.used(connection, key, now)
            return key
    raise problem(
        401,
        "unknown-key",
        "No valid API key",
        "Send Authorization: Bearer and a key that is known, not expired and not revoked.",
        headers={"WWW-Authenticate": 'Bearer realm="nardialog"'},
    )
