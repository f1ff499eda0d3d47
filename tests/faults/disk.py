"""A disk that runs full while messages are on their way, and has room again later: a small tmpfs of our own."""

import asyncio
import errno
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from services.notifier.channels.sink_behaviour import Act
from services.runtime.clock import SystemClock
from services.runtime.errors import Transient
from tests.faults import house
from tests.notifier_offline import OfflineNotifier
from tests.postgres_server import PostgresServer
from tests.topics_offline import Log

KIND: Final = "disk_full"
MOUNTABLE: Final = sys.platform.startswith("linux") and os.geteuid() == 0
"""Only root may make a disk."""
FAILURES: Final = 5
"""Transactions that must fail before there is room again."""
PATIENCE: Final = 60.0


class Disk:
    """A file system of that many megabytes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    def fill(self) -> None:
        """Until not one more byte has room."""
        with self._filler.open("ab", buffering=0) as file:
            for size in (1 << 20, 4096, 1):
                try:
                    while True:
                        file.write(bytes(size))
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise

    def free(self) -> None:
        """Room again."""
        self._filler.unlink(missing_ok=True)


@dataclass
class Failures:
    """How many transactions failed, and whether that is enough."""

    count: int = 0
    enough: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self) -> None:
        self.count += 1
        if self.count >= FAILURES:
            self.enough.set()


@contextmanager
def disk(megabytes: int) -> Iterator[Disk]:
    """Mounts one, and takes it down."""
    folder = Path(tempfile.mkdtemp(prefix="disk-"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0777", "tmpfs", str(folder)], check=True)
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
        folder.rmdir()


@contextmanager
def _ledger(kind: str) -> Iterator[tuple[Disk, str]]:
    if kind == "sqlite":
        with disk(64) as small:
            yield small, f"sqlite+aiosqlite:///{small.folder}/ledger.db"
        return
    with disk(128) as small:
        server = PostgresServer(within=small.folder)
        try:
            yield small, server.start().create_database("ledger")
        finally:
            server.stop()


async def run(database: str, *, seed: int, messages: int = 200) -> dict[str, Any]:
    """The disk is full from one accepted message on, whichever the seed names, until some transactions have failed."""
    log, began, now = Log(), time.monotonic(), datetime.now(UTC)
    house.town(log, messages, now)
    full_at = messages // 4 + seed % (messages // 2)
    with _ledger(database) as (small, url):
        injected = 0

        def behaviour(point: str, number: int) -> Act | None:
            nonlocal injected
            if point == "done" and number >= full_at and not injected:
                injected = 1
                small.fill()
            return None

        async with house.sink(behaviour) as (relay, taken):
            notifier = OfflineNotifier(log, SystemClock(), house.options(url), channels=[house.channel(relay.port)])
            await notifier.start()
            await notifier.caught_up()
            await notifier.admit()
            failed = _count_failures(notifier)
            await _live(notifier, small, failed)
            owed = await notifier.under_way()
            await notifier.close()
    result = await house.reckon(log, messages, taken.copies)
    seconds = round(time.monotonic() - began, 1)
    return {"kind": KIND, "injected": injected, **result, "owed": owed, "failed": failed.count, "seconds": seconds}


async def _live(notifier: OfflineNotifier, small: Disk, failed: Failures) -> None:
    """Sends until nothing is owed; there is room again once enough has failed."""
    stop = asyncio.Event()
    working = asyncio.create_task(notifier.app.sender.run(stop))
    try:
        async with asyncio.timeout(PATIENCE):
            await failed.enough.wait()
            small.free()
            await notifier.settled()
    finally:
        small.free()  # an outcome that is not written yet is not given up
        stop.set()
        await working


def _count_failures(notifier: OfflineNotifier) -> Failures:
    """Counts the transactions that the database did not take."""
    failed = Failures()
    transaction = notifier.app.database.transaction

    @asynccontextmanager
    async def counted() -> AsyncIterator[AsyncConnection]:
        try:
            async with transaction() as connection:
                yield connection
        except Transient:
            failed.add()
            raise

    setattr(notifier.app.database, "transaction", counted)  # noqa: B010 - of this one ledger
    return failed
