"""Topics in memory, for services without a broker."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from schemas.invitation import Invitation
from schemas.round import Round
from schemas.topics import CASES, INVITATIONS, ROUNDS
from services.runtime.errors import Rejected, Transient
from services.runtime.records import Outgoing, Record


@dataclass
class Log:
    """Topics in memory: everything that was acknowledged, in order. Breaks when it was told to."""

    records: list[Record] = field(default_factory=list)
    breaks_after: int | None = None
    dead: list[str] = field(default_factory=list)

    async def publish(self, records: Sequence[Outgoing]) -> None:
        for item in records:
            if self.breaks_after is not None:
                if self.breaks_after == 0:
                    raise Transient("killed here")
                self.breaks_after -= 1
            self.append(item.topic, item.key, item.value, item.headers)

    def append(self, topic: str, key: str, value: bytes | None, headers: Mapping[str, str]) -> Record:
        raw = tuple((name, text.encode()) for name, text in headers.items())
        record = Record(topic, 0, len(self.records), key.encode(), value, raw, 0)
        self.records.append(record)
        return record

    async def dead_letter(self, record: Record, error: Rejected, *, group: str) -> None:
        self.dead.append(error.reason)

    async def move(self, record: Record, partition: int) -> None:
        raise AssertionError("there is one partition")

    async def home(self, topic: str, key: bytes) -> int:
        return 0

    def assigned(self) -> frozenset[tuple[str, int]]:
        return frozenset({(CASES.name, 0)})

    def rounds(self) -> list[Round]:
        return [Round.model_validate_json(r.value or b"") for r in self.records if r.topic == ROUNDS.name]

    def invitations(self) -> list[Invitation]:
        return [Invitation.model_validate_json(r.value or b"") for r in self.records if r.topic == INVITATIONS.name]
