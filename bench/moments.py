"""When what happened to each invitation, read from the records, the ledger and the sink's log when all is over.

All processes run on one machine, so all moments are of one clock. A record's moment is when its producer was given it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import select

from bench.figures import Span
from schemas.topics import CASES, INVITATIONS, ROUNDS
from services.notifier.ledger.tables import INVITATIONS as ADMITTED
from services.notifier.ledger.tables import MESSAGE_INVITATIONS, MESSAGES
from services.runtime.records import Record
from services.runtime.store.database import Database
from services.runtime.tables import TableReader
from tests.faults.world import World

STAGES: Final = {
    "case_to_matching": "case published → round matching",
    "matching_to_invitation": "round matching → invitation published",
    "invitation_to_round_open": "invitation published → its round open",
    "invitation_to_admitted": "invitation published → in the ledger",
    "admitted_to_composed": "in the ledger → composed, intent written",
    "composed_to_accepted": "composed → accepted by the relay",
    "case_to_accepted": "case published → accepted by the relay",
}


@dataclass
class Moments:
    """In seconds since 1970."""

    sent: dict[str, float] = field(default_factory=dict)
    """By case key."""
    case_of: dict[str, str] = field(default_factory=dict)
    matching: dict[str, float] = field(default_factory=dict)
    opened: dict[str, float] = field(default_factory=dict)
    """By round id."""
    round_of: dict[str, str] = field(default_factory=dict)
    invited: dict[str, float] = field(default_factory=dict)
    admitted: dict[str, float] = field(default_factory=dict)
    composed: dict[str, float] = field(default_factory=dict)
    accepted: dict[str, float] = field(default_factory=dict)
    """By invitation id."""

    async def take(self, records: Sequence[Record]) -> None:
        """Records of `cases`, `rounds` and `invitations`."""
        for record in records:
            content, at = json.loads(record.value or b"{}"), record.timestamp / 1000
            if record.topic == CASES.name:
                self.sent[(record.key or b"").decode()] = at
            elif record.topic == INVITATIONS.name:
                self.round_of[content["invitation_id"]] = content["round_id"]
                self.invited[content["invitation_id"]] = at
            else:
                self.case_of[content["round_id"]] = content["case_key"]
                (self.matching if content["state"] == "matching" else self.opened)[content["round_id"]] = at

    def without(self, case_key: str) -> "Moments":
        """Of the other cases."""
        rounds = {key for key, case in self.case_of.items() if case != case_key}
        ids = {key for key, round_id in self.round_of.items() if round_id in rounds}

        def of(keys: set[str], values: Mapping[str, Any]) -> dict[str, Any]:
            return {key: value for key, value in values.items() if key in keys}

        return Moments(
            {key: at for key, at in self.sent.items() if key != case_key},
            *(of(rounds, values) for values in (self.case_of, self.matching, self.opened)),
            *(of(ids, v) for v in (self.round_of, self.invited, self.admitted, self.composed, self.accepted)),
        )

    def spans(self) -> dict[str, list[Span]]:
        """Per stage what went through it. Raises `KeyError` where something did not come through."""
        invitations = [(key, self.round_of[key]) for key in self.invited]
        return {
            "case_to_matching": [Span(self.sent[self.case_of[key]], at) for key, at in self.matching.items()],
            "matching_to_invitation": [Span(self.matching[r], self.invited[key]) for key, r in invitations],
            "invitation_to_round_open": [Span(self.invited[key], self.opened[r]) for key, r in invitations],
            "invitation_to_admitted": [Span(self.invited[key], self.admitted[key]) for key, _ in invitations],
            "admitted_to_composed": [Span(self.admitted[key], self.composed[key]) for key, _ in invitations],
            "composed_to_accepted": [Span(self.composed[key], self.accepted[key]) for key, _ in invitations],
            "case_to_accepted": [Span(self.sent[self.case_of[r]], self.accepted[key]) for key, r in invitations],
        }


async def moments_of(world: World) -> Moments:
    """Everything that an installation did. Its services may have ended; its broker and database run."""
    moments = Moments()
    reader = TableReader(world.settings, [CASES.name, ROUNDS.name, INVITATIONS.name], moments.take)
    await reader.start()
    await reader.caught_up()
    await reader.stop()
    accepted = dict(world.acceptances())
    ledger = Database(world.ledger)
    columns = (ADMITTED.c.invitation_id, ADMITTED.c.admitted_at, MESSAGES.c.intent_at, MESSAGES.c.message_id)
    carried = MESSAGE_INVITATIONS.c.message_id == MESSAGES.c.message_id
    joined = select(*columns).join(MESSAGE_INVITATIONS, MESSAGE_INVITATIONS.c.invitation_id == ADMITTED.c.invitation_id)
    async with ledger.transaction() as connection:
        rows = (await connection.execute(joined.join(MESSAGES, carried))).all()
    await ledger.close()
    for row in rows:
        moments.admitted[row.invitation_id] = row.admitted_at / 1e6
        moments.composed[row.invitation_id] = row.intent_at / 1e6
        moments.accepted[row.invitation_id] = accepted[row.message_id]
    return moments
