"""What the demo knows of its own flow, read from the topics and the sinks and never from the services' insides.

So it can judge them: what the inbox page shows and what `--once` counts comes from here. A record that cannot be read
is skipped: the services have their own dead letters for it.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.parser import BytesHeaderParser
from typing import Any, Final, TypeVar

from schemas.delivery import AT_REST, DELIVERY_RECORDED, Delivery, DeliveryState
from schemas.invitation import INVITATION_CHANGED, Invitation
from schemas.response import RESPONSE_RECORDED, Response
from schemas.round import ROUND_CHANGED, Round
from schemas.suppression import SUPPRESSION_CHANGED, Suppression
from schemas.types import Event
from services.notifier.channels.sms_sinks import AcceptedSms
from services.notifier.channels.smtp_sink import AcceptedMail
from services.runtime.clock import Clock
from services.runtime.dead_letters import is_outcome
from services.runtime.errors import Rejected
from services.runtime.parsing import parse
from services.runtime.records import Record

E = TypeVar("E", bound=Event)

BAKERY: Final = "info@exempelbageriet.example"
TO_READ: Final = "DA-2"
"""The bakery and the case that a newcomer is led to."""
REACHED: Final = frozenset({DeliveryState.SENT, DeliveryState.DELIVERED})


@dataclass(frozen=True)
class DeadLetter:
    """A record that was put aside, and why."""

    key: str
    topic: str
    offset: str
    reason: str
    detail: str
    pointer: str
    address: str = ""
    """Where it lies now, as `nardialog dlq` is told."""


@dataclass(frozen=True)
class Mail:
    """A mail that the sink took."""

    number: int
    message_id: str
    at: datetime
    raw: bytes
    subject: str
    to: str

    @property
    def parsed(self) -> EmailMessage:
        """The mail in its parts."""
        return _parsed(self.raw)


@dataclass(frozen=True)
class Sms:
    """A text that the sink took."""

    number: int
    message_id: str
    at: datetime
    to: str
    text: str


@dataclass(frozen=True)
class Step:
    """A part of the installation on its way up."""

    name: str
    ready: bool
    detail: str = ""


@dataclass
class Board:
    """Everything seen so far. `changed` is set at each change, for whoever waits."""

    speed: float = 60
    clock: Clock | None = None
    phase: str = "starting"
    """`starting`, `running`, `answering` or `settled`."""
    portal: str = ""
    """Where the links in the mails lead."""
    steps: dict[str, Step] = field(default_factory=dict)
    published: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """Case key → the case as it was published."""
    rounds: dict[str, Round] = field(default_factory=dict)
    invitations: dict[str, str] = field(default_factory=dict)
    """Invitation id → round id."""
    members: dict[str, set[str]] = field(default_factory=dict)
    """Round id → the workplaces that are invited."""
    slow_until: float = 0.0
    """Until then, on `time.monotonic`, the SMS provider is slow."""
    states: dict[str, set[DeliveryState]] = field(default_factory=dict)
    """Invitation id → every state told of it or of a message that carries it."""
    carried: dict[str, set[str]] = field(default_factory=dict)
    """Message id → the invitations it carries."""
    message_rounds: dict[str, str] = field(default_factory=dict)
    message_states: dict[str, DeliveryState] = field(default_factory=dict)
    resent_unknown: set[str] = field(default_factory=set)
    responses: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Invitation id → its round and its last answer."""
    stops: set[int] = field(default_factory=set)
    """Numbers of the messages by which somebody wants no more."""
    dead_letters: list[DeadLetter] = field(default_factory=list)
    mails: list[Mail] = field(default_factory=list)
    texts: list[Sms] = field(default_factory=list)
    accepted: Counter[str] = field(default_factory=Counter)
    """Message id → how often a sink took it."""
    lag: dict[str, int] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def step(self, name: str, ready: bool, detail: str = "") -> None:
        """Says how far a part has come."""
        self.steps[name] = Step(name, ready, detail)
        self.changed.set()

    def take_mail(self, mail: AcceptedMail) -> None:
        """A mail that the SMTP sink said yes to."""
        parsed = BytesHeaderParser(policy=policy.default).parsebytes(mail.raw)
        message_id = mail.message_id.strip("<>").partition("@")[0]
        self.accepted[message_id] += 1
        subject, to = str(parsed.get("Subject", "")), ", ".join(mail.recipients)
        self.mails.append(Mail(len(self.mails) + 1, message_id, mail.at, mail.raw, subject, to))
        self.changed.set()

    def take_sms(self, sms: AcceptedSms) -> None:
        """A text that the SMS sink said yes to."""
        self.accepted[sms.reference] += 1
        self.texts.append(Sms(len(self.texts) + 1, sms.reference, sms.at, sms.to, sms.text))
        self.changed.set()

    async def apply(self, records: Sequence[Record]) -> None:
        """Takes a batch of any of the topics that the demo reads."""
        for record in records:
            if record.topic.endswith(".dlq"):
                if is_outcome(record):
                    continue
                self.dead_letters.append(_dead_letter(record))
            elif record.value is not None:
                self._event(record)
        self.changed.set()

    def _event(self, record: Record) -> None:
        if (round_ := _read(record, ROUND_CHANGED, Round)) is not None:
            self.rounds[round_.round_id] = round_
        elif (invitation := _read(record, INVITATION_CHANGED, Invitation)) is not None:
            self.invitations[invitation.invitation_id] = invitation.round_id
            places = self.members.setdefault(invitation.round_id, set())
            places.update(place.workplace_id for place in invitation.workplaces)
        elif (delivery := _read(record, DELIVERY_RECORDED, Delivery)) is not None:
            self._delivery(delivery)
        elif (response := _read(record, RESPONSE_RECORDED, Response)) is not None:
            self.responses[response.invitation_id] = (response.round_id, response.answer)
        elif (stop := _read(record, SUPPRESSION_CHANGED, Suppression)) is not None and stop.message_number is not None:
            (self.stops.discard if stop.lifted else self.stops.add)(stop.message_number)

    def _delivery(self, delivery: Delivery) -> None:
        for invitation_id in delivery.invitation_ids if delivery.kind != "reminder" else ():
            self.states.setdefault(invitation_id, set()).add(delivery.state)
        if delivery.message_id is None:
            return
        self.carried.setdefault(delivery.message_id, set()).update(delivery.invitation_ids)
        if delivery.state is not DeliveryState.MERGED:
            self.message_states[delivery.message_id] = delivery.state
        if delivery.round_ids:
            self.message_rounds[delivery.message_id] = delivery.round_ids[0]
        if delivery.resent_unknown:
            self.resent_unknown.add(f"{delivery.message_id}/{delivery.attempt}")

    @property
    def ended(self) -> dict[str, set[DeliveryState]]:
        """Invitation id → the states it has reached in which nothing is under way: final ones, and waiting."""
        return {key: states & AT_REST for key, states in self.states.items() if states & AT_REST}

    @property
    def queued(self) -> int:
        """Invitations that have not ended yet."""
        return len(self.invitations.keys() - self.ended.keys())

    @property
    def slow(self) -> bool:
        """Whether the SMS provider is slow just now."""
        return time.monotonic() < self.slow_until

    def summary(self) -> dict[str, Any]:
        """The flow's figures."""
        return {
            "phase": self.phase,
            "cases": len(self.published),
            "rounds": len(self.rounds),
            "invitations": len(self.invitations),
            "messages": {"email": len(self.mails), "sms": len(self.texts)},
            "responses": len(self.responses),
            "stops": len(self.stops),
            "dead_letters": len(self.dead_letters),
            "lag": dict(sorted(self.lag.items())),
        }

    def first_to_read(self) -> Mail | None:
        """The bakery's mail about the street outside; until it is there, none."""
        about = {round_.round_id for round_ in self.rounds.values() if round_.case_id == TO_READ}
        mine = (mail for mail in self.mails if mail.to == BAKERY)
        return next((mail for mail in mine if self.message_rounds.get(mail.message_id) in about), None)

    def cases(self) -> list[dict[str, Any]]:
        """Each published case: its round, and how many were invited and written to."""
        rounds = {round_.case_key: round_ for round_ in self.rounds.values()}
        invited = Counter(self.invitations.values())
        mails = Counter(self.message_rounds.get(mail.message_id, "") for mail in self.mails)
        texts = Counter(self.message_rounds.get(sms.message_id, "") for sms in self.texts)
        answers = Counter(round_id for round_id, _ in self.responses.values())
        dead = {letter.key: letter for letter in self.dead_letters}
        rows = []
        for key, case in self.published.items():
            found = rounds.get(key)
            id_ = found.round_id if found else "-"
            rows.append(
                {
                    "case": case, "round": found, "dead": dead.get(key), "invited": invited[id_], "mails": mails[id_],
                    "sms": texts[id_], "answers": answers[id_],
                }
            )  # fmt: skip
        return rows


def _parsed(raw: bytes) -> EmailMessage:
    return message_from_bytes(raw, policy=policy.default)


def _read(record: Record, type_: str, model: type[E]) -> E | None:
    try:
        parsed = parse(record, {type_: model}, "se.nardialog.")
    except Rejected:
        return None
    return parsed.event if parsed else None


def _dead_letter(record: Record) -> DeadLetter:
    said = {name: (value or b"").decode(errors="replace") for name, value in record.headers}
    return DeadLetter(
        key=(record.key or b"").decode(errors="replace"),
        topic=said.get("dlq_topic", ""),
        offset=f"{said.get('dlq_partition', '?')}:{said.get('dlq_offset', '?')}",
        reason=said.get("dlq_reason", ""),
        detail=said.get("dlq_detail", ""),
        pointer=said.get("dlq_pointer", ""),
        address=f"{record.topic}/{record.partition}/{record.offset}",
    )
