"""What each stage could do at most on this machine: the same bytes, and nothing of ours in between.

A figure of the flow says little by itself; held against its bound, taken in the same minute on the same broker, sink
and database, it says how much our guarantees cost.
"""

import asyncio
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer
from aiosmtplib import SMTP
from sqlalchemy import select

from bench.figures import Span, rate
from schemas.topics import INVITATIONS
from services.notifier.admission import Admission
from services.notifier.ledger.events import Outbox, Topics
from services.notifier.ledger.tables import MESSAGES, MIGRATIONS
from services.runtime.broker import Broker
from services.runtime.clock import SystemClock
from services.runtime.errors import Fault, Rejected
from services.runtime.records import Record
from services.runtime.sealing import Vault
from services.runtime.settings import KafkaSettings
from services.runtime.store.database import Database, migrate

POOL = 4
"""Connections, as many as the notifier keeps by default."""


@dataclass(frozen=True)
class Mail:
    """One mail as the notifier handed it over."""

    address: str
    body: bytes


async def sent_mails(ledger: str, vault_key: bytes) -> list[Mail]:
    """The mails that the flow has sent, byte for byte, from its ledger."""
    database, vault = Database(ledger), Vault(vault_key)
    columns = select(MESSAGES.c.address_encrypted, MESSAGES.c.body_encrypted).where(MESSAGES.c.state == "sent")
    async with database.transaction() as connection:
        rows = (await connection.execute(columns)).all()
    await database.close()
    return [Mail(vault.decrypt(row[0]).decode(), vault.decrypt(row[1])) for row in rows]


async def bare_smtp(host: str, port: int, mails: Sequence[Mail], *, connections: int = POOL) -> float:
    """Mails a second through a plain aiosmtplib pool to the same sink, nothing written down before or after."""
    waiting = list(mails)
    clients = [SMTP(hostname=host, port=port, start_tls=False, use_tls=False) for _ in range(connections)]

    async def work(client: SMTP) -> None:
        while waiting:
            mail = waiting.pop()
            await client.sendmail("bench@localhost.localdomain", [mail.address], mail.body)

    for client in clients:
        await client.connect()
    begin = time.perf_counter()
    await asyncio.gather(*(work(client) for client in clients))
    seconds = time.perf_counter() - begin
    for client in clients:
        await client.quit()
    return len(mails) / seconds


async def bare_consume(kafka: KafkaSettings, count: int) -> float:
    """Records a second of `invitations`, read by the client library and dropped."""
    consumer = AIOKafkaConsumer(
        kafka.topic(INVITATIONS),
        bootstrap_servers=list(kafka.bootstrap),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    try:
        begin, seen = time.perf_counter(), 0
        while seen < count:
            batches = await consumer.getmany(timeout_ms=10_000, max_records=500)
            if not batches:
                raise Fault(f"only {seen} of {count} invitations came within 10 s: is the broker alive?")
            seen += sum(len(records) for records in batches.values())
        return seen / (time.perf_counter() - begin)
    finally:
        await consumer.stop()


class _Timed:
    """Admission, and when each of its records was taken and committed."""

    def __init__(self, admission: Admission, count: int) -> None:
        self._admission = admission
        self._count = count
        self.spans: list[Span] = []
        self.done = asyncio.Event()

    async def handle(self, records: Sequence[Record]) -> None:
        begin = time.perf_counter()
        await self._admission.handle(records)
        self.spans += [Span(begin, time.perf_counter())] * len(records)
        if len(self.spans) >= self._count:
            self.done.set()


async def admission(kafka: KafkaSettings, ledger: str, count: int) -> float:
    """Invitations a second into an empty ledger, with nothing else at work: consumed, checked, committed."""
    clock, database = SystemClock(), Database(ledger)
    await migrate(database, MIGRATIONS)
    broker = Broker(kafka, service="bench")

    async def refuse(record: Record, error: Rejected) -> None:
        raise Fault(f"an invitation of the flow was refused: {error}")

    timed = _Timed(Admission(database, Outbox(database, broker, Topics()), clock, refuse), count)
    broker.subscribe([kafka.topic(INVITATIONS)], group=f"bench-admission-{uuid.uuid4().hex}", handle=timed.handle)
    await broker.start()
    try:
        async with asyncio.timeout(120):
            await timed.done.wait()
        return rate(timed.spans)
    finally:
        await broker.stop()
        await database.close()
