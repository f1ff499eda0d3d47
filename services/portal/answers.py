"""An answer: what was filled in becomes responses and a receipt, in one transaction with the events that tell of it.
Who answers follows the case from then on (dialogue rule 7): later rounds that ask for participants find them so.

The ids derive from the key that the review page gave its form, so that a double click, a reload or a browser that sends
again is one answer with one receipt. A later answer has the next sequence of its invitation; the earlier stay.
"""

import base64
import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.identity import derived
from schemas.notice import NOTICE_REQUESTED, RECEIPT, Notice
from schemas.response import RESPONSE_RECORDED, Response
from schemas.subscription import CASE_FOLLOWED, Following, following_id
from schemas.topics import NOTICES, RESPONSES, SUBSCRIPTIONS
from schemas.types import Language
from services.portal.form import Block, Filled, Form
from services.portal.invited import Carried, Invited
from services.portal.portal import SOURCE, Portal
from services.portal.store import tables
from services.portal.views import response_row
from services.rendering.shorten import chop
from services.runtime.parsing import outgoing
from services.runtime.records import Outgoing
from services.runtime.store.database import upsert

RECEIPT_TIME: Final = timedelta(days=1)
"""A receipt that could not be sent within a day is of no use."""
_ALPHABET: Final = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", "23456789ABCDEFGHJKLMNPQRSTUVWXYZ")


def reference(number: int, key: str) -> str:
    """What people quote, such as `7F3-K2Q`: no letter that reads as a digit."""
    digest = hashlib.blake2b(f"{number}/{key}".encode(), digest_size=5, person=b"reference").digest()
    text = base64.b32encode(digest).decode()[:6].translate(_ALPHABET)
    return f"{text[:3]}-{text[3:]}"


async def record(
    connection: AsyncConnection,
    portal: Portal,
    carried: Carried,
    asked: Sequence[Block],
    form: Form,
    key: str,
    language: Language,
) -> None:
    """Writes the answers of one form, and what is to be told, inside the caller's transaction; once for each key."""
    now, quoted = portal.clock.now(), reference(carried.number, key)
    given = [(item, block, filled) for block, filled in form.given(asked) for item in block.invited]
    known = await _sequences(connection, [item.id for item, _, _ in given])
    made = [
        _response(carried, item, block, filled, key, quoted, known.get(item.id, 0) + 1, now)
        for item, block, filled in given
    ]
    there = await _there(connection, [answer.response_id for answer in made])
    fresh = [answer for answer in made if answer.response_id not in there]
    if not fresh:
        return
    await upsert(connection, tables.RESPONSES, [response_row(answer) for answer in fresh])
    records = [_told(portal, answer) for answer in fresh]
    new = {answer.invitation_id for answer in fresh}
    records += [_follows(portal, item, now) for item, _, _ in given if item.id in new]
    if carried.channel == "email":
        records.append(_receipt(portal, carried, given, key, quoted, language, now))
    await portal.outbox.put(connection, records)


async def _sequences(connection: AsyncConnection, invitation_ids: Sequence[str]) -> dict[str, int]:
    """The last sequence of each; their invitations are locked, so that two answers at once get two sequences."""
    wanted = sorted(invitation_ids)
    table, invitations = tables.RESPONSES, tables.INVITATIONS
    await connection.execute(
        select(invitations.c.invitation_id)
        .where(invitations.c.invitation_id.in_(wanted))
        .order_by(invitations.c.invitation_id)
        .with_for_update()
    )
    found = await connection.execute(
        select(table.c.invitation_id, func.max(table.c.sequence).label("last"))
        .where(table.c.invitation_id.in_(wanted))
        .group_by(table.c.invitation_id)
    )
    return {row.invitation_id: row.last for row in found}


async def _there(connection: AsyncConnection, response_ids: Sequence[str]) -> set[str]:
    column = tables.RESPONSES.c.response_id
    return set((await connection.execute(select(column).where(column.in_(response_ids)))).scalars())


def _response(
    carried: Carried, item: Invited, block: Block, filled: Filled, key: str, quoted: str, sequence: int, now: datetime
) -> Response:
    invitation, round_ = item.invitation, block.group.round
    return Response(
        municipality=invitation.municipality,
        synthetic=invitation.synthetic,
        response_id=derived("response", str(carried.number), key, invitation.invitation_id),
        case_key=invitation.case_key,
        case_id=invitation.case_id,
        source=round_.source,
        stage=invitation.stage,
        occurrence=invitation.occurrence,
        round_id=invitation.round_id,
        invitation_id=invitation.invitation_id,
        recipient_id=invitation.recipient_id,
        message_number=carried.number,
        form=invitation.forms.primary,
        answer=filled.answer,
        text=filled.text,
        attendees=filled.attendees,
        sequence=sequence,
        reference=quoted,
        at=now,
    )


def _told(portal: Portal, answer: Response) -> Outgoing:
    return outgoing(
        portal.topic(RESPONSES),
        answer.case_key,
        answer,
        type=RESPONSE_RECORDED,
        id=answer.response_id,
        source=SOURCE,
        time=answer.at,
    )


def _follows(portal: Portal, item: Invited, now: datetime) -> Outgoing:
    invitation = item.invitation
    event = Following(
        municipality=invitation.municipality,
        synthetic=invitation.synthetic,
        subscription_id=following_id(invitation.case_key, invitation.recipient_id),
        recipient_id=invitation.recipient_id,
        case_key=invitation.case_key,
        round_id=invitation.round_id,
        stage=invitation.stage,
        workplaces=[place.workplace_id for place in invitation.workplaces],
        since=now,
    )
    return outgoing(
        portal.topic(SUBSCRIPTIONS),
        event.subscription_id,
        event,
        type=CASE_FOLLOWED,
        id=derived("followed", event.subscription_id, invitation.invitation_id, str(now)),
        source=SOURCE,
        time=now,
    )


def _receipt(
    portal: Portal,
    carried: Carried,
    given: Sequence[tuple[Invited, Block, Filled]],
    key: str,
    quoted: str,
    language: Language,
    now: datetime,
) -> Outgoing:
    first, block, filled = given[0]
    notice = Notice(
        municipality=first.invitation.municipality,
        synthetic=first.invitation.synthetic,
        notice_id=derived("notice", RECEIPT, str(carried.number), key),
        kind=RECEIPT,
        recipient_id=first.invitation.recipient_id,
        language=language,
        message_number=carried.number,
        parameters={
            "reference": quoted,
            "title": chop(block.group.round.texts.title, 200, "…"),
            "answer": filled.answer,
            "answers": str(len(given)),
            **({"round": block.group.round.round_id} if carried.chosen else {}),
        },
        at=now,
        expires_at=now + RECEIPT_TIME,
    )
    return outgoing(
        portal.topic(NOTICES),
        notice.recipient_id,
        notice,
        type=NOTICE_REQUESTED,
        id=notice.notice_id,
        source=SOURCE,
        time=now,
    )
