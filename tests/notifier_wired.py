"""What a notifier needs to be started whole on a test's own topics: settings, and a story to tell it."""

import base64
from datetime import timedelta
from pathlib import Path

from schemas.company import COMPANY_CHANGED, Company
from schemas.company import EXAMPLE as COMPANY
from schemas.contact import CONTACT_CHANGED, Contact
from schemas.contact import EXAMPLE as CONTACT
from schemas.identity import invitation_id
from schemas.invitation import EXAMPLE as INVITATION
from schemas.invitation import INVITATION_CHANGED, Invitation
from schemas.round import EXAMPLE as ROUND
from schemas.round import ROUND_CHANGED, Round
from schemas.types import Event
from services.notifier.settings import NotifierOptions, NotifierSettings
from services.runtime.clock import SystemClock
from services.runtime.installation import ModelSettings
from services.runtime.local_kafka import LocalKafka
from services.runtime.parsing import outgoing
from services.runtime.records import Outgoing
from services.runtime.sealing import Seal, new_key
from services.runtime.settings import HealthSettings, KafkaSettings
from tests.notifier_house import INDEX, PRIVATE, PUBLIC, ROUND_ID, VAULT
from tests.unbounded import model_file


def wired_settings(kafka: LocalKafka, topic_prefix: str, folder: Path) -> NotifierSettings:
    """The mailbox that is read back and the ledger lie in `folder`; nothing is held, and any hour will do."""
    for name in ("cur", "new", "tmp"):
        (folder / "mail" / name).mkdir(parents=True)
    options = {
        "database": f"sqlite+aiosqlite:///{folder}/ledger.db",
        "smtp": {"verp": True, "envelope_from": "studs@kommun.example"},
        "returned": {"maildir": folder / "mail", "poll_seconds": 0.05},
        "token_key": base64.b64encode(new_key()).decode(),
        "vault_key": base64.b64encode(VAULT).decode(),
        "index_key": base64.b64encode(INDEX).decode(),
        "private_keys": {"k1": base64.b64encode(PRIVATE).decode()},
        "hold_seconds": 0,
        "windows": "always",
        "poll_seconds": 0.05,
    }
    return NotifierSettings(
        kafka=KafkaSettings(bootstrap=(kafka.bootstrap,), topic_prefix=topic_prefix),
        health=HealthSettings(port=None),
        model=ModelSettings(file=model_file(folder)),
        notifier=NotifierOptions.model_validate(options),
    )


def wired_story(prefix: str) -> list[Outgoing]:
    """A company, its contact, an open round and its one invitation; expiring long after today."""
    now = SystemClock().now()
    late = (now + timedelta(days=20)).isoformat()
    place = [{**INVITATION["workplaces"][0], "workplace_id": "w1"}]  # type: ignore[index]
    sealed = Seal("k1", PUBLIC).seal(b'{"address": "anna@exempel.test"}').model_dump()
    identity = invitation_id(ROUND_ID, "r1")
    invited = {"invitation_id": identity, "recipient_id": "r1", "workplaces": place, "expires_at": late}
    events: list[tuple[str, str, Event, str]] = [
        (
            "companies",
            "w1",
            Company.model_validate({**COMPANY, "workplace_id": "w1", "recipient_id": "r1"}),
            COMPANY_CHANGED,
        ),
        (
            "contacts",
            "c1",
            Contact.model_validate(
                {**CONTACT, "contact_id": "c1", "recipient_id": "r1", "workplace_id": None, "sealed": sealed}
            ),
            CONTACT_CHANGED,
        ),
        (
            "rounds",
            ROUND_ID,
            Round.model_validate({**ROUND, "expires_at": late, "counts": {"invitations": 1}}),
            ROUND_CHANGED,
        ),
        ("invitations", "0162/exempel/EX-2", Invitation.model_validate({**INVITATION, **invited}), INVITATION_CHANGED),
    ]
    return [
        outgoing(prefix + topic, key, event, type=type_, id=f"e-{topic}", source="/test", time=now)
        for topic, key, event, type_ in events
    ]
