"""API keys in the store."""

import json
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.portal.api_keys import ApiKey
from services.portal.store.tables import API_KEYS
from services.runtime.store.database import micros, moment_of

USED_EVERY: Final = timedelta(minutes=1)
"""How exact `last used` is: a busy key is not a write a request."""


async def add(connection: AsyncConnection, key: ApiKey) -> None:
    """Keeps a new key."""
    await connection.execute(
        insert(API_KEYS).values(
            key_id=key.key_id,
            label=key.label,
            secret_hash=key.secret_hash,
            scopes=_listed(key.scopes),
            sources=_listed(key.sources),
            municipalities=_listed(key.municipalities),
            created_at=micros(key.created_at),
            expires_at=None if key.expires_at is None else micros(key.expires_at),
        )
    )


async def every(connection: AsyncConnection) -> list[ApiKey]:
    """All keys, the oldest first."""
    rows = await connection.execute(select(API_KEYS).order_by(API_KEYS.c.created_at, API_KEYS.c.key_id))
    return [_key(row) for row in rows]


async def find(connection: AsyncConnection, key_id: str) -> ApiKey | None:
    """The key of that id."""
    row = (await connection.execute(select(API_KEYS).where(API_KEYS.c.key_id == key_id))).first()
    return None if row is None else _key(row)


async def used(connection: AsyncConnection, key: ApiKey, now: datetime) -> None:
    """Notes that a key was used."""
    if key.last_used_at is None or now - key.last_used_at >= USED_EVERY:
        await connection.execute(
            update(API_KEYS).where(API_KEYS.c.key_id == key.key_id).values(last_used_at=micros(now))
        )


async def revoke(connection: AsyncConnection, key_id: str, now: datetime) -> bool:
    """Ends a key; says whether there was one that was not ended."""
    done = await connection.execute(
        update(API_KEYS)
        .where(API_KEYS.c.key_id == key_id, API_KEYS.c.revoked_at.is_(None))
        .values(revoked_at=micros(now))
    )
    return bool(done.rowcount)


def _listed(values: frozenset[str]) -> str:
    return json.dumps(sorted(values))


def _key(row: Any) -> ApiKey:
    return ApiKey(
        key_id=row.key_id,
        label=row.label,
        secret_hash=row.secret_hash,
        scopes=frozenset(json.loads(row.scopes)),
        sources=frozenset(json.loads(row.sources)),
        municipalities=frozenset(json.loads(row.municipalities)),
        created_at=moment_of(row.created_at),
        expires_at=_moment(row.expires_at),
        revoked_at=_moment(row.revoked_at),
        last_used_at=_moment(row.last_used_at),
    )


def _moment(stored: int | None) -> datetime | None:
    return None if stored is None else moment_of(stored)
