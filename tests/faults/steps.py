"""Kill -9 of the notifier at each named step, with a relay that counts: nothing lost, nothing doubled unseen."""

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from services.runtime.child_process import spawn
from services.runtime.clock import SystemClock
from tests.faults import dying, house
from tests.notifier_offline import OfflineNotifier
from tests.topics_offline import Log

PATIENCE: Final = 60.0
"""Seconds for one life of the notifier."""


class Halfway:
    """Stands before the sink and passes everything on; told to, it kills the sender when half of a message has gone
    through.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._server: asyncio.Server | None = None
        self.victim: int | None = None
        self.left = 0

    async def start(self) -> int:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        relay_reader, relay_writer = await asyncio.open_connection("127.0.0.1", self._target)
        back = asyncio.create_task(_pump(relay_reader, writer))
        with contextlib.suppress(ConnectionError):
            await self._forth(reader, relay_writer)
        relay_writer.close()
        await back

    async def _forth(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data_next = False
        while chunk := await reader.read(65_536):
            if data_next and self._is_due():
                writer.write(chunk[: len(chunk) // 2])
                await writer.drain()
                if self.victim is not None:
                    os.kill(self.victim, signal.SIGKILL)
                return
            data_next = chunk.endswith(b"DATA\r\n")
            writer.write(chunk)
            await writer.drain()

    def _is_due(self) -> bool:
        self.left -= 1
        return self.victim is not None and self.left == 0


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while chunk := await reader.read(65_536):
            writer.write(chunk)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def _relay() -> AsyncIterator[tuple[Halfway, int, house.Taken]]:
    async with house.sink() as (relay, taken):
        between = Halfway(relay.port)
        port = await between.start()
        try:
            yield between, port, taken
        finally:
            await between.stop()


async def run(step: str, database: str, *, seed: int, messages: int = 200, kills: int, at: int = 0) -> dict[str, Any]:
    """One ledger, one step: the notifier dies there that many times and is started again until nothing is owed. `at` is
    the how-maniest time of the step, instead of one that is drawn.
    """
    draw = random.Random(f"{step}{seed}")
    log, now, began = Log(), datetime.now(UTC), time.monotonic()
    house.town(log, messages, now)
    filling = OfflineNotifier(log, SystemClock(), house.options(database), channels=[])
    await filling.start()
    await filling.caught_up()
    await filling.admit()
    await filling.close()
    folder = Path(tempfile.mkdtemp(prefix="dying-"))
    injected = 0
    async with _relay() as (between, port, taken):
        life = _Life(folder, database, port)
        for _ in range(kills):
            between.left = nth = at or draw.randint(*_RANGE.get(step, (2, max(2, messages // (2 * kills)))))
            injected += await life.until_death(step, nth, between)
        ended = await life.until_done()
    dying.published(folder / "events", log)
    reading = OfflineNotifier(log, SystemClock(), house.options(database), channels=[])
    owed = await reading.under_way()
    await reading.close()
    return {
        "kind": step,
        "injected": injected,
        **await house.reckon(log, messages, taken.copies),
        "owed": owed if ended else max(owed, 1),
        "seconds": round(time.monotonic() - began, 1),
    }


_RANGE: Final = {dying.BEFORE_INTENT: (1, 3), dying.BEFORE_EVENT: (1, 3)}
"""Steps that come once for many messages: the how-maniest may be drawn."""


class _Life:
    """Lives of the notifier, one after the other, on one ledger."""

    def __init__(self, folder: Path, database: str, port: int) -> None:
        self._folder = folder
        options = house.options(database)
        names = {f"NARDIALOG_NOTIFIER__{name.upper()}": getattr(options, name).get_secret_value() for name in _SECRETS}
        plain = ("windows", "hold_seconds", "lease_seconds", "poll_seconds", "sender_email", "database")
        names |= {f"NARDIALOG_NOTIFIER__{name.upper()}": str(getattr(options, name)) for name in plain}
        self._environment = {
            **os.environ, **names, "NARDIALOG_NOTIFIER__SMTP__PORT": str(port), "NARDIALOG_LOG__LEVEL": "warning",
        }  # fmt: skip

    async def until_death(self, step: str, nth: int, between: Halfway) -> bool:
        """Whether it died of what was meant."""
        process = self._start(step, nth)
        between.victim = process.pid if step == dying.DURING_DATA else None
        return await self._end(process) == -signal.SIGKILL

    async def until_done(self) -> bool:
        """Whether it came to an end by itself."""
        return await self._end(self._start("none", 0)) == 0

    def _start(self, step: str, nth: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.faults.dying", str(self._folder / "events"), step, str(nth)]
        return spawn(command, log=self._folder / "log", env=self._environment)

    async def _end(self, process: subprocess.Popen[bytes]) -> int:
        try:
            return await asyncio.to_thread(process.wait, PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            return 1


_SECRETS: Final = ("vault_key", "index_key", "token_key")
