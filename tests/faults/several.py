"""Two matchers and two notifiers on six partitions and one PostgreSQL: each is killed in turn, and partitions move.

Every turn has its own wave of cases, so that there is work under way when it comes: kill -9 of one matcher, of the
other; one that is frozen until the other has its partitions, and then goes on where it was; one that leaves in good
order and comes back, which moves partitions twice; a third that joins; and the same of the notifiers. While partitions
move, cases of the first wave are corrected, which may lead to no message at all.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from schemas.case import Case
from schemas.identity import DEMO_RECIPIENT_KEY, invitation_id, recipient_id, round_id
from schemas.round import Round, RoundState
from schemas.topics import CASES, INVITATIONS, ROUNDS
from services.runtime.errors import Transient
from services.runtime.records import Record
from services.runtime.settings import KafkaSettings
from services.runtime.tables import TableReader
from services.runtime.topic_admin import TopicAdmin
from tests.faults.accounts import balance
from tests.faults.world import Books, World

PROCESSES = ("matcher-1", "matcher-2", "notifier-1", "notifier-2")
TURNS = (
    "kill matcher-1",
    "kill matcher-2",
    "freeze matcher-1",
    "leave matcher-2",
    "join matcher-3",
    "kill notifier-1",
    "kill notifier-2",
    "freeze notifier-1",
    "leave notifier-2",
)
PATIENCE = 90.0
FROZEN = 8.0
"""Seconds: longer than the group's session and the sender's lease, three seconds each."""


@dataclass
class Log:
    """What `rounds` and `invitations` say, record by record."""

    rounds: dict[str, Round] = field(default_factory=dict)
    said: dict[tuple[str, int], Counter[bytes]] = field(default_factory=dict)
    """(Invitation, revision) → what it said, and how often. Said twice by two instances it must be the same."""

    async def apply(self, records: Sequence[Record]) -> None:
        for record in records:
            value = record.value or b""
            if record.topic == ROUNDS.name:
                item = Round.model_validate_json(value, extra="ignore")
                self.rounds[item.round_id] = item
            else:
                id_ = next(v or b"" for name, v in record.headers if name == "ce_id").decode()
                invitation, _, revision = id_.partition("/")
                self.said.setdefault((invitation, int(revision)), Counter())[value] += 1


def waves(world: World, per_wave: int) -> Iterator[list[Case]]:
    """Cases that each reach every organisation, some for each turn."""
    made = world.cases(per_wave * len(TURNS))
    for start in range(0, len(made), per_wave):
        yield made[start : start + per_wave]


async def run(*, seed: int, recipients: int = 100, per_wave: int = 12) -> dict[str, Any]:
    """One scenario."""
    rng = random.Random(f"several{seed}")
    with World() as world:
        world.command("companies", "import", str(world.register(recipients)))
        for name in PROCESSES:
            world.start(name)
        books, log = Books(world.settings), Log()
        reader = TableReader(world.settings, [ROUNDS.name, INVITATIONS.name], log.apply)
        await books.start()
        await reader.start()
        await until(partial(_two_of_each, world.settings), lambda: 0)
        began, expected, killed_at = time.monotonic(), set[str](), {}
        key = world.environment.get("NARDIALOG_INSTALLATION__RECIPIENT_KEY")
        first: list[Case] = []
        for turn, wave in zip(TURNS, waves(world, per_wave), strict=True):
            first = first or wave
            due = _expected([case.key for case in wave], recipients, key)
            await world.publish(wave)
            progress = _progress(turn, world, books, due, before=len(expected))
            expected |= due
            await until(partial(_past, progress, rng.uniform(0.1, 0.7) * len(due)), progress)
            killed_at[turn] = progress()
            await _take(turn, world, first)
            await until(partial(expected.issubset, books.invitations), books.moves)
        await until(partial(expected.issubset, books.final), books.moves)
        await until(lambda: all(r.state is RoundState.OPEN for r in log.rounds.values()), books.moves)
        await books.caught_up()
        await reader.caught_up()
        await books.stop()
        await reader.stop()
        return {
            "kind": "matchers",
            "injected": sum(world.kills.values()),
            "killed_at": killed_at,
            **balance(expected, books, world.accepted()),
            "said_twice": sum(sum(words.values()) - 1 for words in log.said.values()),
            "contradicted": sum(len(words) > 1 for words in log.said.values()),
            "revised": sum(revision > 1 for _, revision in log.said),
            "not_open": sum(item.state is not RoundState.OPEN for item in log.rounds.values()),
            "seconds": round(time.monotonic() - began, 1),
        }


async def _take(turn: str, world: World, corrected: Sequence[Case]) -> None:
    what, _, name = turn.partition(" ")
    if what == "join":
        world.start(name)
        await until(partial(_three_matchers, world.settings), lambda: 0)
        await asyncio.to_thread(world.end, name)
    elif what == "leave":
        await asyncio.to_thread(world.end, name)
        await world.publish([case.model_copy(update={"version": 2, "title": "Rättad titel"}) for case in corrected])
        world.start(name)
    elif what == "freeze":
        world.freeze(name, True)
        await asyncio.sleep(FROZEN)
        world.freeze(name, False)
    else:
        world.kill(name)
        await asyncio.sleep(1)
        world.revive(name)


def _progress(turn: str, world: World, books: Books, due: set[str], before: int) -> Callable[[], int]:
    """How much of this wave is done by the kind of service that the turn is about."""
    if "notifier" in turn:
        return lambda: world.taken() - before
    return lambda: len(due & books.invitations.keys())


def _past(progress: Callable[[], int], goal: float) -> bool:
    return progress() >= goal


def _two_of_each(settings: KafkaSettings) -> bool:
    return _members(settings) == {"matcher": 2, "notifier": 2}


def _three_matchers(settings: KafkaSettings) -> bool:
    return _members(settings).get("matcher") == 3


def _members(settings: KafkaSettings) -> dict[str, int]:
    """How many living members the groups have. A coordinator that is not ready yet is asked again."""
    try:
        with TopicAdmin(settings.bootstrap) as admin:
            return {row.group: row.members for row in admin.lag() if row.topic in (CASES.name, INVITATIONS.name)}
    except Transient:
        return {}


def _expected(keys: list[str], recipients: int, key: str | None) -> set[str]:
    secret = key.encode() if key else DEMO_RECIPIENT_KEY
    people = [recipient_id(f"EXO-{i:05}", secret) for i in range(recipients)]
    rounds = [round_id(case, "forslag", 1, "ask") for case in keys]
    return {invitation_id(round_, person) for round_ in rounds for person in people}


async def until(condition: Callable[[], bool], progress: Callable[[], int]) -> bool:
    """Waits for a condition; False when nothing has moved for too long."""
    loop = asyncio.get_running_loop()
    seen, end = progress(), loop.time() + PATIENCE
    while not await asyncio.to_thread(condition):
        await asyncio.sleep(0.05)
        if (now := progress()) != seen:
            seen, end = now, loop.time() + PATIENCE
        if loop.time() > end:
            return False
    return True
