"""A town of workplaces along one latitude, a case, decisions, and a matcher without a broker that lives through it."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from schemas.case import CASE_CHANGED, Case
from schemas.company import COMPANY_CHANGED, IMPORT_COMPLETED, MARKER_PREFIX, Company, ImportCompleted
from schemas.dialogue import DIALOGUE_CHANGED, Decision, Dialogue
from schemas.envelope import Envelope
from schemas.identity import DEMO_RECIPIENT_KEY, recipient_id
from schemas.round import Purpose, Round
from schemas.subscription import EXAMPLE, SUBSCRIPTION_CHANGED, Subscription
from schemas.topics import CASES, COMPANIES, DIALOGUES, SUBSCRIPTIONS, Topic
from schemas.types import Event
from services.matcher.release import Policy
from tests.matcher_cases import content
from tests.matcher_offline import Process
from tests.topics_offline import Log

START = datetime(2026, 11, 2, 9, tzinfo=UTC)
RESPOND_BY = "2026-12-01"
METRE = 1 / 56_850
"""Of longitude, at 59.4° N, in degrees."""


class Place:
    """A town of workplaces along one latitude, a case, decisions, and a matcher that lives through it."""

    def __init__(self, *metres: int, policy: Policy = "auto") -> None:
        self.log = Log()
        self.process = Process(self.log, policy, START)
        self.metres = list(metres)
        self.imports = 0
        self.decisions: list[Decision] = []
        self.register()

    def case(self, version: int, **changes: Any) -> None:
        made = content("road", version=version, **({"respond_by": RESPOND_BY} | changes))
        case = Case.model_validate(made)
        self.handle(CASES, case.key, case, CASE_CHANGED)

    def decide(self, kind: str, round_: Round, **changes: Any) -> None:
        number = len(self.decisions) + 1
        made = {"number": number, "kind": kind, "round_id": round_.round_id, "at": self.now, "by": "kontoret"} | changes
        self.decisions.append(Decision.model_validate(made))
        dialogue = Dialogue(municipality="0162", source="prov", case_id="A", decisions=self.decisions)
        self.handle(DIALOGUES, dialogue.key, dialogue, DIALOGUE_CHANGED)

    def register(self, *more: int) -> None:
        """An import of everybody so far and of these, and a look at the rounds."""
        self.metres += more
        self.imports += 1
        for metres in self.metres:
            self.write(COMPANIES, f"W{metres}", company(metres, self.imports), COMPANY_CHANGED)
        marker = ImportCompleted(
            municipality="0162", import_id=f"i{self.imports}", import_number=self.imports, source="register",
            partition=0, partitions=1, rows=len(self.metres), content_hash=f"{self.imports:032x}", completed_at=START,
        )  # fmt: skip
        self.write(COMPANIES, f"{MARKER_PREFIX}0", marker, IMPORT_COMPLETED)
        self.look()

    def subscribe(self, name: str) -> None:
        area = {"kind": "municipality", "label": "hela kommunen"}
        made = {**EXAMPLE, "area": area, "industries": [], "subscription_id": name, "recipient_id": name}
        row = Subscription.model_validate(made)
        self.write(SUBSCRIPTIONS, name, row, SUBSCRIPTION_CHANGED)
        self.look()

    def wait_until(self, moment: datetime) -> None:
        self.process.clock.moment = moment
        asyncio.run(self.process.matcher.close(frozenset({0})))

    @property
    def now(self) -> datetime:
        return self.process.clock.now()

    def look(self) -> None:
        asyncio.run(self.process.rematch())

    def handle(self, topic: Topic, key: str, event: Event, kind: str) -> None:
        record = self.write(topic, key, event, kind)
        asyncio.run(self.process.matcher.handle([record]))

    def write(self, topic: Topic, key: str, event: Event, kind: str) -> Any:
        headers = Envelope(id="x", source="prov", type=kind, time=self.now).headers()
        return self.log.append(topic.name, key, event.model_dump_json(exclude_none=True).encode(), headers)

    def rounds(self, **content: Any) -> list[Round]:
        """The rounds as they stand now, those of a stage first as they came to be."""
        known: dict[str, Round] = {}
        for item in self.log.rounds():
            known[item.round_id] = item
        return [item for item in known.values() if all(getattr(item, k) == v for k, v in content.items())]

    def round(self, **content: Any) -> Round:
        (found,) = self.rounds(**({"purpose": Purpose.ASK} | content))
        return found

    def said(self) -> list[tuple[str, str, str]]:
        """What was said of invitations: state, whose workplace, purpose."""
        return [
            (item.state.value, item.workplaces[0].workplace_id, item.purpose.value) for item in self.log.invitations()
        ]

    def live(self, round_: Round) -> list[str]:
        members = self.process.members.of_rounds([round_.round_id])
        return sorted(place.workplace_id for m in members if m.live for place in m.invitation.workplaces)


def company(metres: int, number: int) -> Company:
    return Company(
        municipality="0162", workplace_id=f"W{metres}", recipient_id=recipient_id(f"W{metres}", DEMO_RECIPIENT_KEY),
        name="x", lon=18.03 + metres * METRE, lat=59.4, import_number=number,
    )  # fmt: skip


def at(metres: int) -> list[dict[str, Any]]:
    point = {"type": "Point", "coordinates": [18.03 + metres * METRE, 59.4]}
    return [{"role": "road", "geometry": point}]
