"""`nardialog api-keys`: keys of case systems, kept in the portal's store. A secret is printed once, on stdout."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeVar

from cyclopts import App, Parameter

from services.runtime.terminal import OK, failed, say, show, usage

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from services.portal.api_keys import ApiKey

api_keys = App(name="api-keys", help="Keys of case systems for the HTTP API.")

Json = Annotated[bool, Parameter(name="--json", negative="")]
ScopeName = Literal["cases:write", "cases:read", "cases:validate", "cases:decide"]
USUAL_SCOPES: Final[tuple[ScopeName, ...]] = ("cases:write", "cases:read", "cases:validate")
COLUMNS: Final = (
    "key", "label", "state", "scopes", "sources", "municipalities", "created", "expires", "last_used",
)  # fmt: skip
T = TypeVar("T")


@api_keys.command
def new(
    label: str,
    /,
    *,
    source: Annotated[list[str], Parameter(negative="")],
    municipality: Annotated[list[str], Parameter(negative="")],
    scope: Annotated[list[ScopeName] | None, Parameter(negative="")] = None,
    days: int | None = None,
) -> int:
    """Make a key, and print it: it is shown this once. Others of the same system stay valid until they are revoked.

    Parameters
    ----------
    label
        What it is for, such as the case system's name.
    source
        A source whose cases it may send and see; several, or * for all.
    municipality
        A municipality's four digits; several, or * for all.
    scope
        What it may do; several. All but cases:decide, if left out.
    days
        How many days it is valid. Until it is revoked, if left out.
    """
    from datetime import timedelta

    from services.portal.api_keys import ANY, ApiKey, new_secret, secret_hash, written
    from services.portal.store import keys
    from services.runtime.clock import SystemClock

    if days is not None and days < 1:
        return usage("--days must be 1 or more")
    if wrong := [code for code in municipality if code != ANY and not re.fullmatch(r"[0-9]{4}", code)]:
        return usage(f"--municipality {wrong[0]}: give the four digits of SCB's code, or *")
    now = SystemClock().now()
    key_id, secret = new_secret()
    made = ApiKey(
        key_id=key_id,
        label=label[:200],
        secret_hash=secret_hash(secret),
        scopes=frozenset(scope or USUAL_SCOPES),
        sources=frozenset(source),
        municipalities=frozenset(municipality),
        created_at=now,
        expires_at=now + timedelta(days=days) if days else None,
    )
    _in_store(lambda connection: keys.add(connection, made))
    print(written(key_id, secret))
    say("Keep it now: it is not shown again. It goes into the header Authorization: Bearer …")
    return OK


@api_keys.command(name="list")
def list_(*, json_: Json = False) -> int:
    """Every key, without its secret: what it may do, and when it was used last.

    Parameters
    ----------
    json_
        One JSON object a line.
    """
    from services.portal.store import keys
    from services.runtime.clock import SystemClock

    now = SystemClock().now()
    found = _in_store(keys.every)
    show(COLUMNS, [_row(key, key.state(now)) for key in found], as_json=json_)
    return OK


@api_keys.command
def revoke(key: str, /) -> int:
    """End a key: from now on it is refused.

    Parameters
    ----------
    key
        Its id, the twelve characters after nd_.
    """
    from services.portal.store import keys
    from services.runtime.clock import SystemClock

    now = SystemClock().now()
    if not _in_store(lambda connection: keys.revoke(connection, key, now)):
        return failed("no such key, or it is revoked already: see `nardialog api-keys list`")
    say("revoked")
    return OK


def _row(key: "ApiKey", state: str) -> tuple[object, ...]:
    moments = (key.created_at, key.expires_at, key.last_used_at)
    lists = (key.scopes, key.sources, key.municipalities)
    return (
        key.key_id,
        key.label,
        state,
        *(" ".join(sorted(values)) for values in lists),
        *(None if moment is None else moment.isoformat(timespec="seconds") for moment in moments),
    )


def _in_store(work: "Callable[[AsyncConnection], Awaitable[T]]") -> T:
    """Does it in one transaction of the portal's store, which is brought to its newest form first."""
    from services.portal.settings import PortalSettings
    from services.portal.store.tables import MIGRATIONS
    from services.runtime.settings import load
    from services.runtime.store.database import Database, migrate

    async def done() -> T:
        database = Database(load(PortalSettings).portal.database)
        try:
            await migrate(database, MIGRATIONS)
            async with database.transaction() as connection:
                return await work(connection)
        finally:
            await database.close()

    return asyncio.run(done())
