"""A stop: what it covers, and the events that say it. The page says so only when the broker has acknowledged it.

The id derives from the message, the scope and its subject, so that stopping twice is one stop, and undoing lifts that
one and no other: a dead address, or a stop at another message, stays.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.identity import derived
from schemas.notice import NOTICE_REQUESTED, STOPPED, Notice
from schemas.suppression import SUPPRESSION_CHANGED, Suppression, message_stop_id
from schemas.topics import NOTICES, SUPPRESSIONS
from services.portal.invited import Carried, Group
from services.portal.portal import SOURCE, Portal
from services.portal.store import tables
from services.rendering.shorten import chop
from services.runtime.parsing import outgoing
from services.runtime.records import Outgoing

NOTICE_TIME: Final = timedelta(days=1)
Extent = Literal["all", "area", "kind", "case"]


@dataclass(frozen=True)
class Stop:
    """What is stopped: everything from the municipality, a subscription's area, a kind of cases, or one case."""

    scope: Extent
    subject: str = ""
    """The subscription's id, the case type or the case key."""
    title: str = ""
    title_en: str = ""

    @property
    def value(self) -> str:
        """What the button says to us."""
        return f"{self.scope}:{self.subject}" if self.subject else self.scope


ALL: Final = Stop("all")


def offered(carried: Carried | None) -> tuple[Stop, ...]:
    """What can be stopped at a message. A message that we know nothing of can still stop everything."""
    stops = [ALL]
    for group in carried.groups if carried else ():
        texts = group.round.texts
        stops += [
            Stop("case", group.round.case_key, texts.title, texts.title_en),
            Stop("kind", group.round.case_type, texts.case_type, texts.case_type_en),
            *_areas(group),
        ]
    order = {"all": 0, "case": 1, "area": 2, "kind": 3}
    return tuple(sorted({stop.value: stop for stop in stops}.values(), key=lambda stop: order[stop.scope]))


def _areas(group: Group) -> Iterator[Stop]:
    """The subscriptions that led to these invitations, alone or with other reasons."""
    for invited in group.invited:
        for place in invited.invitation.workplaces:
            for reason in place.reasons:
                if reason.kind == "subscription" and reason.subscription_id and reason.area:
                    yield Stop("area", reason.subscription_id, reason.area)


def suppression(portal: Portal, carried: Carried | None, number: int, stop: Stop, *, lifted: bool = False) -> Outgoing:
    """The event that stops, or lifts, one thing for the address that a message was sent to."""
    now = portal.clock.now()
    event = Suppression(
        municipality=carried.municipality if carried else portal.settings.portal.municipality,
        suppression_id=message_stop_id(number, stop.scope, stop.subject),
        kind="stop",
        scope=stop.scope,
        message_number=number,
        case_key=stop.subject if stop.scope == "case" else None,
        case_type=stop.subject if stop.scope == "kind" else None,
        subscription_id=stop.subject if stop.scope == "area" else None,
        lifted=lifted,
        reason="undone at the page" if lifted else "",
        at=now,
    )
    key = event.suppression_id
    return outgoing(
        portal.topic(SUPPRESSIONS), key, event, type=SUPPRESSION_CHANGED, id=_event_id(event, now), source=SOURCE,
        time=now,
    )  # fmt: skip


def _event_id(event: Suppression, now: datetime) -> str:
    """A stop, its undoing and the same stop again are three events."""
    return derived("suppression", "event", event.suppression_id, str(event.lifted), now.isoformat())


def notice(portal: Portal, carried: Carried, stop: Stop) -> Outgoing | None:
    """What tells the address's owner that it was stopped, so that a stop by somebody else is found and undone."""
    if carried.channel != "email" or not carried.invited:
        return None
    now, first = portal.clock.now(), carried.invited[0].invitation
    event = Notice(
        municipality=carried.municipality,
        synthetic=first.synthetic,
        notice_id=derived("notice", STOPPED, str(carried.number), stop.scope, stop.subject),
        kind=STOPPED,
        recipient_id=first.recipient_id,
        message_number=carried.number,
        parameters={"scope": stop.scope, "title": chop(stop.title, 200, "…")},
        at=now,
        expires_at=now + NOTICE_TIME,
    )
    return outgoing(
        portal.topic(NOTICES), event.recipient_id, event, type=NOTICE_REQUESTED, id=event.notice_id, source=SOURCE,
        time=now,
    )  # fmt: skip


async def stopped(connection: AsyncConnection, number: int, stops: Sequence[Stop]) -> frozenset[str]:
    """The `value` of what is stopped already at a message."""
    table = tables.SUPPRESSIONS
    ids = {message_stop_id(number, stop.scope, stop.subject): stop.value for stop in stops}
    found = await connection.execute(
        select(table.c.suppression_id).where(table.c.suppression_id.in_(ids), table.c.lifted.is_(False))
    )
    return frozenset(ids[key] for key in found.scalars())
