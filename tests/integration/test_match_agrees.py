"""`nardialog match` on the demo's files gives the invitations that the matcher published of them: one core, two doors.

The day is the same without any arrangement for the test: each case of the demo says when its stage opened, which is
what `match` counts from, and is sent on that day of the demo's clock, which is what the matcher counts from.
"""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from schemas.case import CASE_CHANGED
from schemas.envelope import Envelope
from schemas.identity import case_key
from schemas.topics import ALL_TOPICS, CASES, INVITATIONS, ROUNDS, Topic
from services.demo import synthetic, wiring
from services.demo.settling import RESTING
from services.demo.world import START
from services.matcher.files import LINE
from services.runtime.broker import Broker
from services.runtime.clock import ManualClock
from services.runtime.local_kafka import LocalKafka
from services.runtime.records import Outgoing, Record
from services.runtime.sealing import key_pair
from services.runtime.settings import KafkaSettings
from services.runtime.tables import TableReader
from services.runtime.topic_admin import TopicAdmin

pytestmark = pytest.mark.anyio
PARTLY = 6
"""`match` ends so where a case was refused: the demo has one that is broken on purpose."""


class Seen:
    """What the matcher wrote, as it stands in the records: parsed by nothing of ours."""

    def __init__(self) -> None:
        self.invitations: dict[str, dict[str, Any]] = {}
        self.rounds: dict[str, dict[str, Any]] = {}
        self.dead_letters = 0

    async def apply(self, records: Sequence[Record]) -> None:
        for record in records:
            if record.topic.endswith(".dlq"):
                self.dead_letters += 1
                continue
            content = json.loads(record.value or b"{}")
            if record.topic.endswith(INVITATIONS.name):
                self.invitations[content["invitation_id"]] = content
            else:
                self.rounds[content["round_id"]] = content

    def rests(self, cases: int) -> bool:
        return self.dead_letters + sum(r["state"] in RESTING for r in self.rounds.values()) == cases


@pytest.fixture
def settings(kafka: LocalKafka, topic_prefix: str) -> KafkaSettings:
    made = KafkaSettings(bootstrap=(kafka.bootstrap,), topic_prefix=topic_prefix)
    with TopicAdmin(kafka.bootstrap) as admin:
        admin.create([Topic(made.topic(t), t.key, t.cleanup) for t in ALL_TOPICS], partitions=3, replication=1)
    return made


def as_record(topic: str, line: str) -> Outgoing:
    """A line of the case file as a case system would send it."""
    case = json.loads(line)
    envelope = Envelope(id=case["case_id"], source="/demo", type=CASE_CHANGED, time=START)
    key = case_key(case["municipality"], case["source"], case["case_id"])
    return Outgoing(topic, key, line.encode(), envelope.headers())


async def published(settings: KafkaSettings, register: Path, cases: Sequence[str]) -> Seen:
    """What the matcher makes of the register and the cases, over real topics."""
    clock, seen = ManualClock(START), Seen()
    await wiring.import_register(register, settings, key_pair()[1], clock)
    topics = [settings.topic(t) for t in (ROUNDS, INVITATIONS, CASES.dead_letters)]
    reader, matcher = TableReader(settings, topics, seen.apply), wiring.matcher(settings, clock)
    case_system = Broker(settings, service="case-system")
    await reader.start()
    await matcher.start()
    await case_system.connect()
    try:
        await case_system.publish([as_record(settings.topic(CASES), case) for case in cases])
        async with asyncio.timeout(60):
            while not seen.rests(len(cases)):
                await asyncio.sleep(0.05)
                await reader.caught_up()
        await reader.caught_up()
    finally:
        await case_system.stop()
        await matcher.stop()
        await reader.stop()
    return seen


def matched(register: Path, cases: Path) -> list[dict[str, Any]]:
    """What the real command prints; with no settings it takes the demo's key and the model of the product."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NARDIALOG_")}
    command = [sys.executable, "-m", "services.cli", "match", "--register", str(register), "--cases", str(cases)]
    done = subprocess.run(command, env=environment, capture_output=True, check=False, timeout=120)
    assert done.returncode == PARTLY, done.stderr.decode()
    return [json.loads(line) for line in done.stdout.splitlines()]


async def test_match_on_the_demos_files_agrees_with_what_was_published_in_every_field(
    settings: KafkaSettings, tmp_path: Path
) -> None:
    register, cases = tmp_path / "register.csv", tmp_path / "cases.jsonl"
    content = synthetic.cases_jsonl(START.date())
    register.write_text(synthetic.register_csv(), encoding="utf-8")
    cases.write_text(content, encoding="utf-8")
    seen = await published(settings, register, content.splitlines())
    lines = await asyncio.to_thread(matched, register, cases)
    assert len(lines) == len(seen.invitations) >= 50
    assert {line["invitation_id"] for line in lines} == seen.invitations.keys()
    differ = [
        (line["case_id"], name, line.get(name), seen.invitations[line["invitation_id"]].get(name))
        for line in lines
        for name in {*LINE, *line}
        if line.get(name) != seen.invitations[line["invitation_id"]].get(name)
    ]
    assert differ == []
