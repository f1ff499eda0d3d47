"""The provider of the year: keeps its own record of all that it took, with the moment, and has moods of its own.

What it answers depends on the message and on how often it was offered, so that a year is the same at every run. The
composer writes no words, only what the message carries: what is checked is read from there, not from the ledger.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from schemas.company import Company
from schemas.invitation import Invitation
from schemas.round import Round
from services.notifier.channels.port import Outcome, Outgoing, State
from services.notifier.composing import Asked, DigestItem, Draft
from services.runtime.clock import Clock


@dataclass(frozen=True)
class Copy:
    """One message that a provider took."""

    at: datetime
    channel: str
    address: str
    message_id: str
    number: int
    kind: str
    rounds: Mapping[str, Sequence[str]]
    """Round → invitations: what the reader sees."""
    more: int
    gathered: str


class Writer:
    """What a message says, as values."""

    version = "values"

    def compose(
        self, draft: Draft, round_: Round, invitations: Sequence[Invitation], companies: Mapping[str, Company]
    ) -> bytes:
        return _written(draft, "first", {round_.round_id: invitations})

    def remind(
        self, draft: Draft, round_: Round, invitations: Sequence[Invitation], companies: Mapping[str, Company]
    ) -> bytes:
        return _written(draft, "reminder", {round_.round_id: invitations})

    def digest(self, draft: Draft, items: Sequence[DigestItem], more: int, companies: Mapping[str, Company]) -> bytes:
        carried = {item.round_.round_id: item.invitations for item in items}
        return _written(draft, "digest", carried, more=more, gathered=draft.gathered)

    def notice(self, draft: Draft, asked: Asked) -> bytes:
        return _written(draft, "notice", {})


def _written(draft: Draft, kind: str, rounds: Mapping[str, Sequence[Invitation]], **more: Any) -> bytes:
    carried = {round_id: [item.invitation_id for item in invitations] for round_id, invitations in rounds.items()}
    return json.dumps({"kind": kind, "number": draft.number, "rounds": carried, **more}).encode()


def chance(*parts: object) -> float:
    """A number from 0 to 1 that depends on these alone."""
    digest = hashlib.blake2b("/".join(map(str, parts)).encode(), digest_size=8).digest()
    return float(int.from_bytes(digest, "big") / 2**64)


class YearSink:
    """One channel's provider."""

    provider = "year"
    at_once: int | None = None

    def __init__(self, name: str, clock: Clock, seed: int, dead: frozenset[str], taken: Callable[[Copy], None]) -> None:
        self.name = name
        self.copies: list[Copy] = []
        self.left_open: Counter[str] = Counter()
        """Message → how often its sender was not told what became of it."""
        self._offered: Counter[str] = Counter()
        self._clock, self._seed, self._dead, self._taken = clock, seed, dead, taken

    async def send(self, message: Outgoing) -> Outcome:
        self._offered[message.message_id] += 1
        mood = chance(self._seed, message.message_id, self._offered[message.message_id])
        if message.address in self._dead:
            return Outcome(State.FAILED, "no_such_address", "550 5.1.1", suppress=True)
        if mood < 0.03:
            return Outcome(State.RETRY, "greylisted", "451 4.7.1")
        if mood < 0.035:
            self.left_open[message.message_id] += 1
            if mood < 0.0325:
                self._take(message)
            return Outcome(State.UNKNOWN, "connection_lost")
        self._take(message)
        return Outcome(State.SENT, "accepted")

    def _take(self, message: Outgoing) -> None:
        says = json.loads(message.body)
        copy = Copy(
            self._clock.now(), self.name, message.address, message.message_id, says["number"], says["kind"],
            says["rounds"], says.get("more", 0), says.get("gathered", ""),
        )  # fmt: skip
        self.copies.append(copy)
        self._taken(copy)

    async def look_up(self, message: Outgoing) -> Outcome | None:
        """What the SMS provider knows; mail cannot be asked."""
        known = self.name == "sms" and any(copy.message_id == message.message_id for copy in self.copies)
        return Outcome(State.SENT, "accepted") if known else None

    async def close(self) -> None:
        return
