"""A notifier with a full ledger and no Kafka: what is put into its topics, and the sink that counts what left."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from schemas.company import COMPANY_CHANGED, Company
from schemas.company import EXAMPLE as COMPANY
from schemas.contact import CONTACT_CHANGED
from schemas.identity import invitation_id
from schemas.invitation import EXAMPLE as INVITATION
from schemas.invitation import INVITATION_CHANGED, Invitation
from schemas.round import EXAMPLE as ROUND
from schemas.round import ROUND_CHANGED, Round
from schemas.topics import COMPANIES, CONTACTS, DELIVERIES, INVITATIONS, ROUNDS
from services.notifier.channels.sink_behaviour import Behaviour
from services.notifier.channels.smtp import SmtpChannel, SmtpOptions
from services.notifier.channels.smtp_sink import AcceptedMail, SmtpSink
from services.notifier.settings import NotifierOptions
from tests.faults.accounts import Accounts, balance
from tests.notifier_offline import contact, keys, say
from tests.topics_offline import Log

MONDAY: Final = datetime.fromisoformat("2025-11-10T10:00:00+01:00")
ROUND_ID: Final = str(ROUND["round_id"])
SENDER: Final = "narmare@kommunen.example"


def options(database: str, **changes: Any) -> NotifierOptions:
    """A notifier's settings that let everything leave at once."""
    given: dict[str, Any] = {"windows": "always", "hold_seconds": 0, "lease_seconds": 1, "poll_seconds": 0.05}
    given |= {"database": database, "sender_email": SENDER}
    return NotifierOptions.model_validate(given | keys() | changes)


def channel(port: int, *, answer_timeout: float = 5.0) -> SmtpChannel:
    """The way to a sink on this machine."""
    return SmtpChannel(
        SmtpOptions(host="127.0.0.1", port=port, tls="none", envelope_from=SENDER, answer_timeout=answer_timeout)
    )


def town(log: Log, messages: int, at: datetime, *, kind: str = "email", open_until: timedelta = timedelta(25)) -> None:
    """That many companies with one address each, and a round that invites all of them."""
    expires = at + open_until
    says = {"counts": {"invitations": messages}, "opened_at": at - timedelta(hours=1), "expires_at": expires}
    plan = {**ROUND["plan"], "channel": kind, "reminder": None}  # type: ignore[dict-item]
    round_ = Round.model_validate({**ROUND, **says, "plan": plan, "respond_by": expires.date()})
    say(log, ROUNDS, round_.round_id, round_, ROUND_CHANGED, at)
    for number in range(messages):
        given = {**COMPANY, "workplace_id": f"w{number}", "recipient_id": f"r{number}"}
        say(log, COMPANIES, f"w{number}", Company.model_validate(given), COMPANY_CHANGED, at)
    for number in range(messages):
        address = f"info@foretag{number}.example" if kind == "email" else f"+467017406{5 + number:02}"
        known = contact(f"r{number}", address, kind, workplace_id=f"w{number}")
        say(log, CONTACTS, known.contact_id, known, CONTACT_CHANGED, at)
    for number in range(messages):
        event = _invitation(f"r{number}", f"w{number}", expires)
        say(log, INVITATIONS, event.case_key, event, INVITATION_CHANGED, at)


def _invitation(recipient: str, workplace: str, expires: datetime) -> Invitation:
    place = {**INVITATION["workplaces"][0], "workplace_id": workplace}  # type: ignore[index]
    names = {"invitation_id": invitation_id(ROUND_ID, recipient), "recipient_id": recipient}
    until = {"expires_at": expires, "respond_by": expires.date()}
    return Invitation.model_validate({**INVITATION, **names, **until, "workplaces": [place]})


def expected(messages: int) -> set[str]:
    """By the identity rule alone: one invitation for each company."""
    return {invitation_id(ROUND_ID, f"r{number}") for number in range(messages)}


@dataclass
class Taken:
    """The sink's own record: message id → how often it was accepted."""

    copies: Counter[str] = field(default_factory=Counter)

    def mail(self, mail: AcceptedMail) -> None:
        self.copies[mail.message_id.strip("<>").partition("@")[0]] += 1


@asynccontextmanager
async def sink(behaviour: Behaviour | None = None) -> AsyncIterator[tuple[SmtpSink, Taken]]:
    """A mail relay on this loop."""
    taken = Taken()
    relay = SmtpSink(on_accept=taken.mail, behaviour=behaviour, keep=0)
    await relay.start()
    try:
        yield relay, taken
    finally:
        await relay.stop()


async def reckon(log: Log, messages: int, copies: Counter[str]) -> dict[str, Any]:
    """What was lost and doubled, from the topics and the sink's record."""
    accounts = Accounts()
    await accounts.take([record for record in log.records if record.topic in (INVITATIONS.name, DELIVERIES.name)])
    return balance(expected(messages), accounts, copies)
