"""What an operator asks about suppressions, and how one is released: with who and why, and told to the others.

Whoever is released from a stop is released from every record of the same stop: at a page, by mail, and what the ledger
said of both. What a person's erasure left is never released, nor what holds a whole round: the next release ends that.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.suppression import Suppression
from services.notifier.ledger.events import Outbox
from services.notifier.ledger.tables import SUPPRESSIONS
from services.notifier.stops import say
from services.runtime.errors import Rejected

LIFTABLE: Final = frozenset({"stop", "bounce", "complaint"})
_THE_SAME: Final = ("address_index", "kind", "scope", "municipality", "case_key", "case_type", "subscription_id")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which are asked for; what is None does not narrow."""

    address_index: str | None = None
    kind: str | None = None
    lifted: bool = False
    limit: int = 50


async def listed(connection: AsyncConnection, wanted: Wanted) -> Sequence[Row[Any]]:
    """The newest first; those that were lifted only when asked for."""
    statement = select(SUPPRESSIONS).order_by(SUPPRESSIONS.c.at.desc(), SUPPRESSIONS.c.suppression_id)
    if wanted.address_index is not None:
        statement = statement.where(SUPPRESSIONS.c.address_index == wanted.address_index)
    if wanted.kind is not None:
        statement = statement.where(SUPPRESSIONS.c.kind == wanted.kind)
    if not wanted.lifted:
        statement = statement.where(SUPPRESSIONS.c.lifted.is_(False))
    return (await connection.execute(statement.limit(wanted.limit))).all()


async def lift(
    connection: AsyncConnection, outbox: Outbox, suppression_id: str, *, by: str, reason: str, now: datetime
) -> int:
    """Releases what this one stops; how many records said so. Raises `Rejected` with what to do."""
    itself = select(SUPPRESSIONS).where(SUPPRESSIONS.c.suppression_id == suppression_id)
    found = (await connection.execute(itself)).one_or_none()
    if found is None:
        raise Rejected("no_such_suppression", "no suppression has this id: see `nardialog suppressions list`")
    if found.kind not in LIFTABLE:
        what = "a person's erasure stays" if found.kind == "erased" else "the next release of the case ends it"
        raise Rejected("not_lifted_here", f"this is of kind {found.kind}: {what}")
    same = [SUPPRESSIONS.c[name].is_not_distinct_from(getattr(found, name)) for name in _THE_SAME]
    records = select(SUPPRESSIONS).where(SUPPRESSIONS.c.lifted.is_(False))
    records = (
        records.where(*same) if found.address_index else records.where(SUPPRESSIONS.c.suppression_id == suppression_id)
    )
    standing = (await connection.execute(records.with_for_update())).all()
    for row in standing:
        await say(connection, outbox, _lifted(row, by, reason, now))
    return len(standing)


def _lifted(row: Row[Any], by: str, reason: str, now: datetime) -> Suppression:
    return Suppression(
        municipality=row.municipality,
        suppression_id=row.suppression_id,
        kind=row.kind,
        scope=row.scope,
        address_index=row.address_index,
        message_number=row.message_number,
        case_key=row.case_key,
        case_type=row.case_type,
        subscription_id=row.subscription_id,
        lifted=True,
        reason=reason,
        by=by,
        at=now,
    )
