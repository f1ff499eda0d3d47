"""`python -m bench.matcher_service`: cases a second through Kafka, and invitations a second of one that concerns all.

Beside the matcher stand two loops of aiokafka that take the same case events by a group of their own, decode and
validate them as the matcher's door does, and write as many records as the matcher wrote, with the same bytes and with
a producer set as the matcher's (idempotent, acknowledged by all, gzip, 5 ms of patience).

- The *bare* loop knows the answers: it looks up what to write. It says what Kafka, its client and the door cost.
- The *deriving* loop computes them, by the same pure core, and encodes them. What the matcher takes beyond it is the
  service: tables that read back what is written, so that a case that is moved, corrected or cut off half-way goes on
  where it stood; a case's records in three steps, each acknowledged before the next is written, where both loops wait
  for the broker once a batch; whose partition it is, asked before each step; metrics and the log.

All run in this process, one after another, each with everything in its topic from the beginning. A rate is by the
records' own times, from the first case to the last record written; `cpu_ms` is this process's CPU per case, which
other work on the machine disturbs less. For the matcher that includes looking every 0.2 s whether it is ready.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from rich.console import Console

from bench import figures
from schemas.case import CASE_CHANGED, Case
from schemas.company import Company
from schemas.identity import DEMO_RECIPIENT_KEY
from schemas.invitation import INVITATION_CHANGED, Invitation
from schemas.model import default
from schemas.round import ROUND_CHANGED, Round, RoundState
from schemas.topics import CASES, INVITATIONS, ROUNDS, Topic
from schemas.types import Basis
from services.matcher.app import build
from services.matcher.dialogue.working_days import local_day
from services.matcher.door import accept
from services.matcher.holds import Limits
from services.matcher.rounds import derive
from services.matcher.tables.rounds import said
from services.matcher.workplaces import snapshot
from services.matcher.writer import SOURCE
from services.runtime import logs
from services.runtime.broker import Broker
from services.runtime.clock import ManualClock
from services.runtime.errors import Fault
from services.runtime.local_kafka import LocalKafka
from services.runtime.parsing import outgoing
from services.runtime.records import Outgoing, Record, as_read
from services.runtime.settings import KafkaSettings, LogSettings
from services.runtime.tables import TableReader
from services.runtime.topic_admin import TopicAdmin
from tests.matcher_world import NOW, PARTITIONS, World, case, company, made_settings

NEAR: Final = 10
"""Workplaces that each case reaches."""
RING: Final = [{"buffer_m": 100, "industries": "all", "why": "prov"}]
PATIENCE: Final = 120.0


@dataclass(frozen=True)
class Size:
    """How many cases, and how many workplaces the municipality has."""

    cases: int
    workplaces: int


def companies(count: int) -> list[Company]:
    """Some where the cases are, the others a kilometre away."""
    return [company(f"W{i:06d}", 18.03 if i < NEAR else 18.05) for i in range(count)]


async def run(size: Size, tell: Callable[[str], object]) -> dict[str, Any]:
    """All figures."""
    with tempfile.TemporaryDirectory() as folder, LocalKafka(Path(folder)) as kafka:
        settings = made_settings(kafka, "bench.")
        world = World(settings.kafka)
        await world.broker.connect()
        for begin in range(0, size.workplaces, 5000):
            await world.send_register(companies(size.workplaces)[begin : begin + 5000], partitions=[])
        await world.send_register(companies(size.workplaces)[:1])
        app = build(settings, ManualClock(NOW))
        try:
            tell("starting")
            await app.start()
            await _handled(world, [case(case_id="warm", reach=RING)], NEAR)
            tell("cases")
            many = [case(case_id=f"{i:06d}", reach=RING) for i in range(size.cases)]
            began, out, spent = await _handled(world, many, NEAR * size.cases)
            service = size.cases / (max(record.timestamp for record in out) - began) * 1000
            tell("municipality")
            wide = [case(case_id="wide", area="municipality", geometries=[], reach=RING)]
            began, told, _ = await _handled(world, wide, size.workplaces)
            invitations = size.workplaces / (max(record.timestamp for record in told) - began) * 1000
        finally:
            await app.stop()
        loops = {}
        for name, answers in {"bare": recorded(out), "deriving": derived(companies(size.workplaces))}.items():
            tell(f"{name} loop")
            loops[name] = await _loop(settings.kafka, name, many, answers, len(out))
        await world.broker.stop()
    return {
        "per_s": {
            "cases": round(service, 1),
            **{f"{name}_cases": round(per_s, 1) for name, (per_s, _) in loops.items()},
            "records_out": round(service * len(out) / size.cases, 1),
            "invitations_of_one_case": round(invitations, 1),
        },
        "cpu_ms": {
            "cases": round(spent / size.cases * 1000, 3),
            **{f"{name}_cases": round(cpu / size.cases * 1000, 3) for name, (_, cpu) in loops.items()},
        },
        "ratios": {f"cases_to_{name}": figures.ratio(service, per_s) for name, (per_s, _) in loops.items()},
    }


async def _handled(world: World, cases: Sequence[Case], invitations: int) -> tuple[int, list[Record], float]:
    """Sends cases at once; when the first of them was written, all that they led to, and the seconds of CPU."""
    kafka, topics = world.kafka, [world.kafka.topic(topic) for topic in (ROUNDS, INVITATIONS)]
    with TopicAdmin(kafka.bootstrap, kafka.client()) as admin:
        before = await asyncio.to_thread(admin.ends, topics)
        source = await asyncio.to_thread(admin.ends, [kafka.topic(CASES)])
        spent = time.process_time()
        await _send(world.broker, kafka.topic(CASES), cases)
        goal = sum(before.values()) + invitations + 2 * len(cases)
        until = time.monotonic() + PATIENCE
        while sum((await asyncio.to_thread(admin.ends, topics)).values()) < goal:
            if time.monotonic() > until:
                raise Fault(f"not all of {len(cases)} cases were handled within {PATIENCE:.0f} s")
            await asyncio.sleep(0.2)
        spent = time.process_time() - spent
    sent = await _read(kafka, source)
    return min(record.timestamp for record in sent), await _read(kafka, before), spent


async def _read(kafka: KafkaSettings, positions: Mapping[tuple[str, int], int]) -> list[Record]:
    found: list[Record] = []

    async def keep(records: Sequence[Record]) -> None:
        found.extend(records)

    reader = TableReader(kafka, sorted({topic for topic, _ in positions}), keep, positions=positions)
    await reader.start()
    await reader.caught_up()
    await reader.stop()
    return found


async def _send(broker: Broker, topic: str, cases: Sequence[Case]) -> None:
    await broker.publish(
        [
            outgoing(topic, item.key, item, type=CASE_CHANGED, id=f"{item.key}/1", source="prov", time=NOW)
            for item in cases
        ]
    )


Answers: TypeAlias = Callable[[Case], Sequence[Outgoing]]
"""What is to be written about a case; topics without their prefix."""


def recorded(out: Sequence[Record]) -> Answers:
    """What the matcher wrote, looked up."""
    answers: dict[str, list[Outgoing]] = {}
    for record in out:
        topic = record.topic.rpartition(".")[2]
        headers = {name: (value or b"").decode() for name, value in record.headers}
        answer = Outgoing(topic, (record.key or b"").decode(), record.value, headers)
        answers.setdefault(json.loads(record.value or b"")["case_key"], []).append(answer)
    return lambda item: answers[item.key]


def derived(register: Sequence[Company]) -> Answers:
    """What the pure core says, encoded as the matcher encodes it."""
    known, model, day, limits = snapshot(register), default(), local_day(NOW), Limits()

    def answer(item: Case) -> list[Outgoing]:
        basis = Basis(case_version=item.version, import_number=1)
        made = derive(item, known, model, day, basis, key=DEMO_RECIPIENT_KEY, limits=limits, opened_at=NOW)
        matching = made.round.model_copy(update={"state": RoundState.MATCHING})
        return [_round(matching), *map(_invitation, made.invitations), _round(made.round)]

    return answer


def _round(item: Round) -> Outgoing:
    return outgoing(ROUNDS.name, item.round_id, item, type=ROUND_CHANGED, id=said(item), source=SOURCE, time=NOW)


def _invitation(item: Invitation) -> Outgoing:
    id_ = f"{item.invitation_id}/{item.revision}"
    return outgoing(INVITATIONS.name, item.case_key, item, type=INVITATION_CHANGED, id=id_, source=SOURCE, time=NOW)


async def _loop(
    kafka: KafkaSettings, name: str, cases: Sequence[Case], answers: Answers, expected: int
) -> tuple[float, float]:
    """Cases a second, and seconds of CPU, of a loop that has its answers from there."""
    prefix, topics = f"{kafka.topic_prefix}{name}.", (CASES, ROUNDS, INVITATIONS)
    with TopicAdmin(kafka.bootstrap, kafka.client()) as admin:
        wanted = [Topic(prefix + topic.name, topic.key, topic.cleanup) for topic in topics]
        admin.create(wanted, partitions=PARTITIONS, replication=1)
    feeder = Broker(kafka, service="bench")
    await feeder.connect()
    servers, model = list(kafka.bootstrap), default()
    producer = AIOKafkaProducer(
        bootstrap_servers=servers, acks="all", enable_idempotence=True, linger_ms=5, max_batch_size=262_144,
        compression_type="gzip",
    )  # fmt: skip
    consumer = AIOKafkaConsumer(
        prefix + CASES.name, bootstrap_servers=servers, group_id=name, enable_auto_commit=False,
        auto_offset_reset="earliest",
    )  # fmt: skip
    await producer.start()
    await consumer.start()
    try:
        spent = time.process_time()
        await _send(feeder, prefix + CASES.name, cases)
        seen = 0
        while seen < len(cases):
            for records in (await consumer.getmany(timeout_ms=1000, max_records=500)).values():
                waiting = []
                for raw in records:
                    parsed = accept(as_read(raw), model)
                    for answer in answers(parsed.event) if parsed else ():
                        headers = [(name, text.encode()) for name, text in answer.headers.items()]
                        waiting.append(
                            await producer.send(
                                prefix + answer.topic, answer.value, key=answer.key.encode(), headers=headers
                            )
                        )
                await asyncio.gather(*waiting)
                await consumer.commit()
                seen += len(records)
        spent = time.process_time() - spent
    finally:
        await consumer.stop()
        await producer.stop()
        await feeder.stop()
    starts = {(prefix + topic.name, partition): 0 for topic in topics for partition in range(PARTITIONS)}
    moments = [(record.topic == prefix + CASES.name, record.timestamp) for record in await _read(kafka, starts)]
    if len(moments) != len(cases) + expected:
        raise Fault(f"the {name} loop wrote {len(moments) - len(cases)} records instead of {expected}")
    took = max(at for taken, at in moments if not taken) - min(at for taken, at in moments if taken)
    return len(cases) / took * 1000, spent


def main() -> int:
    """Cases a second through Kafka beside two bare loops, and invitations a second of a municipality-wide case."""
    parser = argparse.ArgumentParser(prog="python -m bench.matcher_service", description=main.__doc__)
    parser.add_argument("--quick", action="store_true", help="a small run, within 60 s")
    parser.add_argument("--json", action="store_true", help="one object on standard output")
    given = parser.parse_args()
    logs.configure(LogSettings(level="error"), "bench")
    size = Size(200, 1000) if given.quick else Size(2000, 20_000)
    began, machine = time.monotonic(), figures.machine()
    tell = (lambda text: print(f"\r{text:20}", end="", file=sys.stderr)) if sys.stderr.isatty() else (lambda text: None)
    try:
        told = asyncio.run(run(size, tell))
    except Fault as error:
        sys.stderr.write(f"{error}\n")
        return 1
    told = {
        "bench": "matcher_service", "quick": given.quick, "machine": machine, "cases": size.cases,
        "workplaces": size.workplaces, "invitations_per_case": NEAR, **told,
        "seconds": round(time.monotonic() - began, 1),
    }  # fmt: skip
    if given.json:
        print(json.dumps(told))
        return 0
    console = Console()
    for name, value in told.items():
        console.print(f"{name}: {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
