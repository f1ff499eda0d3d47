"""`python -m bench.matcher_service`: cases a second through Kafka, and invitations a second of one that concerns all.

Beside the matcher stands a bare loop of aiokafka that takes the same case events by a group of its own, decodes and
validates them as the matcher's door does, and writes as many records as the matcher wrote, with the same bytes, waiting
for the broker as often as once a batch. Both begin with everything in the topic; the times are the broker's records'.
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
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from rich.console import Console

from bench import figures
from schemas.case import CASE_CHANGED, Case
from schemas.company import Company
from schemas.model import default
from schemas.topics import CASES, INVITATIONS, ROUNDS, Topic
from services.matcher.app import build
from services.matcher.door import accept
from services.runtime import logs
from services.runtime.broker import Broker
from services.runtime.clock import ManualClock
from services.runtime.errors import Fault
from services.runtime.local_kafka import LocalKafka
from services.runtime.parsing import outgoing
from services.runtime.records import Record, as_read
from services.runtime.settings import KafkaSettings, LogSettings
from services.runtime.tables import TableReader
from services.runtime.topic_admin import TopicAdmin
from tests.matcher_world import NOW, PARTITIONS, World, case, company, made_settings

NEAR: Final = 10
"""Workplaces that each case reaches."""
RING: Final = [{"buffer_m": 100, "industries": "all", "why": "prov"}]
BARE: Final = "bare."
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
            began, out = await _handled(world, many, NEAR * size.cases)
            service = size.cases / (max(record.timestamp for record in out) - began) * 1000
            tell("municipality")
            wide = [case(case_id="wide", area="municipality", geometries=[], reach=RING)]
            began, told = await _handled(world, wide, size.workplaces)
            invitations = size.workplaces / (max(record.timestamp for record in told) - began) * 1000
        finally:
            await app.stop()
        tell("bare loop")
        bare = await _bare(settings.kafka, many, out)
        await world.broker.stop()
    return {
        "per_s": {
            "cases": round(service, 1),
            "bare_cases": round(bare, 1),
            "records_out": round(service * len(out) / size.cases, 1),
            "invitations_of_one_case": round(invitations, 1),
        },
        "ratios": {"cases_to_bare": figures.ratio(service, bare)},
    }


async def _handled(world: World, cases: Sequence[Case], invitations: int) -> tuple[int, list[Record]]:
    """Sends cases at once; when the first of them was written, and all that they led to."""
    kafka, topics = world.kafka, [world.kafka.topic(topic) for topic in (ROUNDS, INVITATIONS)]
    before = await _ends(kafka, topics)
    source = await _ends(kafka, [kafka.topic(CASES)])
    await _send(world.broker, kafka.topic(CASES), cases)
    goal = sum(before.values()) + invitations + 2 * len(cases)
    until = time.monotonic() + PATIENCE
    while sum((await _ends(kafka, topics)).values()) < goal:
        if time.monotonic() > until:
            raise Fault(f"not all of {len(cases)} cases were handled within {PATIENCE:.0f} s")
        await asyncio.sleep(0.2)
    sent = await _read(kafka, source)
    return min(record.timestamp for record in sent), await _read(kafka, before)


async def _ends(kafka: KafkaSettings, topics: Sequence[str]) -> dict[tuple[str, int], int]:
    def ask() -> dict[tuple[str, int], int]:
        with TopicAdmin(kafka.bootstrap, kafka.client()) as admin:
            return admin.ends(topics)

    return await asyncio.to_thread(ask)


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


async def _bare(kafka: KafkaSettings, cases: Sequence[Case], out: Sequence[Record]) -> float:
    """Cases a second of a loop that knows the answers."""
    answers: dict[str, list[Record]] = {}
    for record in out:
        answers.setdefault(json.loads(record.value or b"")["case_key"], []).append(record)
    names = {topic.name: kafka.topic_prefix + BARE + topic.name for topic in (CASES, ROUNDS, INVITATIONS)}
    with TopicAdmin(kafka.bootstrap, kafka.client()) as admin:
        wanted = [Topic(names[topic.name], topic.key, topic.cleanup) for topic in (CASES, ROUNDS, INVITATIONS)]
        admin.create(wanted, partitions=PARTITIONS, replication=1)
    feeder = Broker(kafka, service="bench")
    await feeder.connect()
    servers, model = list(kafka.bootstrap), default()
    producer = AIOKafkaProducer(bootstrap_servers=servers, acks="all", enable_idempotence=True)
    consumer = AIOKafkaConsumer(
        names[CASES.name], bootstrap_servers=servers, group_id="bare", enable_auto_commit=False,
        auto_offset_reset="earliest",
    )  # fmt: skip
    await producer.start()
    await consumer.start()
    try:
        await _send(feeder, names[CASES.name], cases)
        seen = 0
        while seen < len(cases):
            for records in (await consumer.getmany(timeout_ms=1000, max_records=500)).values():
                waiting = []
                for raw in records:
                    accept(as_read(raw), model)
                    for answer in answers[raw.key.decode()]:
                        topic = kafka.topic_prefix + BARE + answer.topic.removeprefix(kafka.topic_prefix)
                        waiting.append(
                            await producer.send(topic, answer.value, key=answer.key, headers=list(answer.headers))
                        )
                await asyncio.gather(*waiting)
                await consumer.commit()
                seen += len(records)
    finally:
        await consumer.stop()
        await producer.stop()
        await feeder.stop()
    starts = {(topic, partition): 0 for topic in names.values() for partition in range(PARTITIONS)}
    moments = [(record.topic == names[CASES.name], record.timestamp) for record in await _read(kafka, starts)]
    if len(moments) != len(cases) + len(out):
        raise Fault(f"the bare loop wrote {len(moments) - len(cases)} records instead of {len(out)}")
    took = max(at for taken, at in moments if not taken) - min(at for taken, at in moments if taken)
    return len(cases) / took * 1000


def main() -> int:
    """Cases a second through Kafka beside a bare loop, and invitations a second of a municipality-wide case."""
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
