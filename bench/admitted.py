"""A ledger with a round's invitations admitted, as the notifier leaves it before it addresses and sends them.

Events go through the notifier's own feeds and admission, one company, one contact and one invitation per address.
"""

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from schemas.company import COMPANY_CHANGED, Company
from schemas.company import EXAMPLE as COMPANY
from schemas.contact import CONTACT_CHANGED, Contact
from schemas.contact import EXAMPLE as CONTACT
from schemas.identity import contact_id, invitation_id
from schemas.invitation import EXAMPLE as INVITATION
from schemas.invitation import INVITATION_CHANGED, Invitation
from schemas.model import default
from schemas.round import EXAMPLE as ROUND
from schemas.round import ROUND_CHANGED, Round
from schemas.topics import COMPANIES, CONTACTS, INVITATIONS, ROUNDS
from schemas.types import Event
from services.notifier.addressing import Addressing
from services.notifier.admission import Admission
from services.notifier.feeders import CompanyFeed, ContactFeed, RoundFeed
from services.notifier.ledger.events import Outbox, Topics
from services.notifier.ledger.messages import FIRST
from services.notifier.ledger.tables import POSITIONS
from services.notifier.numbers import message_id
from services.notifier.policy.timing import Rules
from services.runtime.clock import SystemClock
from services.runtime.errors import Fault, Rejected
from services.runtime.parsing import outgoing
from services.runtime.records import Outgoing, Record
from services.runtime.sealing import Opener, Seal, Vault, blind_index, key_pair, new_key
from services.runtime.store.database import Database
from services.runtime.store.feeding import Feed, Feeder
from tests.postgres_server import PostgresServer

_PAGE: Final = 2000


@dataclass(frozen=True)
class Keys:
    """What the ledger is encrypted and indexed with."""

    vault: bytes = field(default_factory=new_key)
    index: bytes = field(default_factory=new_key)
    token: bytes = field(default_factory=new_key)


class Acknowledged:
    """A publisher whose broker costs nothing."""

    async def publish(self, records: Sequence[Outgoing]) -> None:
        return


def round_of(name: str, count: int, *, urgent: bool = False) -> Round:
    """An open round of that many invitations."""
    now = datetime.now(UTC)
    plan = {**ROUND["plan"], "urgent": urgent}  # type: ignore[dict-item]
    times = {"opened_at": now - timedelta(hours=1), "expires_at": now + timedelta(days=60)}
    given = {"round_id": name, "case_key": f"0162/bench/{name}", "case_id": name, "plan": plan, **times}
    return Round.model_validate({**ROUND, **given, "counts": {"invitations": count, "workplaces": count}})


def invitations_of(round_: Round, count: int) -> Iterator[Invitation]:
    """One for each of the first recipients."""
    like: dict[str, Any] = {**INVITATION, "round_id": round_.round_id, "case_key": round_.case_key}
    like |= {"case_id": round_.case_id, "expires_at": round_.expires_at}
    place = INVITATION["workplaces"][0]  # type: ignore[index]
    for number in range(count):
        recipient = f"r{number:06}"
        own = {"invitation_id": invitation_id(round_.round_id, recipient), "recipient_id": recipient}
        yield Invitation.model_validate({**like, **own, "workplaces": [{**place, "workplace_id": f"w{number:06}"}]})


class Filling:
    """Puts companies, contacts, rounds and invitations into an empty ledger."""

    def __init__(self, database: Database, keys: Keys) -> None:
        private, self._public = key_pair()
        self._database = database
        clock = SystemClock()
        feeds: dict[str, Feed] = {
            ROUNDS.name: RoundFeed(),
            COMPANIES.name: CompanyFeed(),
            CONTACTS.name: ContactFeed(Opener({"k1": private}), Vault(keys.vault), keys.index, clock),
        }
        self._feeder = Feeder(self._database, POSITIONS, feeds, _refuse)
        self._outbox = Outbox(self._database, Acknowledged(), Topics())
        self._admission = Admission(self._database, self._outbox, clock, _refuse)
        self._keys = keys
        self._offset = 0

    async def register(self, count: int) -> None:
        """That many companies with one address each."""
        for page in _pages(count):
            companies = [Company.model_validate(_company(number)) for number in page]
            await self._feed(COMPANIES.name, [(c.workplace_id, c) for c in companies], COMPANY_CHANGED)
            contacts = [self._contact(number) for number in page]
            await self._feed(CONTACTS.name, [(c.contact_id, c) for c in contacts], CONTACT_CHANGED)

    async def round(self, round_: Round, count: int) -> None:
        """A round and its invitations."""
        await self._feed(ROUNDS.name, [(round_.round_id, round_)], ROUND_CHANGED)
        invitations = list(invitations_of(round_, count))
        for page in _pages(count):
            records = [
                self._record(INVITATIONS.name, i.case_key, i, INVITATION_CHANGED)
                for i in invitations[page.start : page.stop]
            ]
            await self._admission.handle(records)

    async def address(self) -> None:
        """Makes messages of what is admitted."""
        addressing = Addressing(
            self._database, self._outbox, Rules(default().burden_policy, "always"), hold=timedelta(0)
        )
        now = datetime.now(UTC)
        await addressing.run(now, now)

    def message_ids(self, round_id: str, count: int) -> set[str]:
        """The ids that the messages to the first recipients have, or will have."""
        indexes = (blind_index(self._keys.index, "email", _address(number)) for number in range(count))
        return {message_id(round_id, index, FIRST) for index in indexes}

    async def _feed(self, topic: str, events: Sequence[tuple[str, Event]], type: str) -> None:
        await self._feeder.apply([self._record(topic, key, event, type) for key, event in events])

    def _contact(self, number: int) -> Contact:
        recipient = f"r{number:06}"
        sealed = Seal("k1", self._public).seal(json.dumps({"address": _address(number)}).encode())
        given = {"contact_id": contact_id("register", recipient, None, "register", "email"), "recipient_id": recipient}
        return Contact.model_validate({**CONTACT, **given, "workplace_id": None, "sealed": sealed.model_dump()})

    def _record(self, topic: str, key: str, event: Event, type: str) -> Record:
        self._offset += 1
        made = outgoing(topic, key, event, type=type, id=f"e{self._offset}", source="/bench", time=datetime.now(UTC))
        headers = tuple((name, text.encode()) for name, text in made.headers.items())
        return Record(topic, 0, self._offset, key.encode(), made.value, headers, 0)


@contextmanager
def ledger(database: str) -> Iterator[str]:
    """The address of an empty ledger: `sqlite`, or a `postgresql` that syncs its commits too."""
    if database == "postgresql":
        server = PostgresServer(durable=True).start()
        try:
            yield server.create_database("ledger")
        finally:
            server.stop()
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite+aiosqlite:///{folder}/ledger.db"


def _address(number: int) -> str:
    return f"info{number}@foretag{number}.example"


def _company(number: int) -> dict[str, Any]:
    return {**COMPANY, "workplace_id": f"w{number:06}", "recipient_id": f"r{number:06}", "name": f"Exempel {number} AB"}


def _pages(count: int) -> Iterator[range]:
    return (range(start, min(count, start + _PAGE)) for start in range(0, count, _PAGE))


async def _refuse(record: Record, error: Rejected) -> None:
    raise Fault(f"the bench wrote a record that the notifier refuses: {error}")
