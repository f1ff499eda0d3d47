"""`python -m tests.faults`: kills, cuts, fills and confuses in the middle of real work, and counts what was lost or
doubled, from the topics and the sinks' own records.

Matcher, notifier, Kafka and PostgreSQL are killed in a whole installation at seeded moments (`world`, `several`). The
notifier's own steps, the provider's moods, the disk and the clock are tried on a ledger alone (`steps`, `troubles`,
`disk`), on SQLite and on PostgreSQL.
"""

import argparse
import asyncio
import json
import logging
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any, Final

import structlog
from rich.console import Console
from rich.table import Table

from schemas.identity import DEMO_RECIPIENT_KEY, invitation_id, recipient_id, round_id
from tests.faults import disk, receipts, several, steps, troubles
from tests.faults.accounts import balance
from tests.faults.dying import STEPS
from tests.faults.troubles import TROUBLES
from tests.faults.world import Books, World
from tests.postgres_server import PostgresServer

PATIENCE = 60.0
"""Seconds without any progress until what is not settled counts as stuck: a slow machine is not a stuck one."""


async def until(condition: Callable[[], bool], progress: Callable[[], int]) -> bool:
    """Waits for a condition; False when nothing has moved for too long."""
    loop = asyncio.get_running_loop()
    seen, end = progress(), loop.time() + PATIENCE
    while not condition():
        await asyncio.sleep(0.05)
        if (now := progress()) != seen:
            seen, end = now, loop.time() + PATIENCE
        if loop.time() > end:
            return False
    return True


async def run(
    kind: str, *, seed: int, database: str = "postgresql", recipients: int = 1000, cases: int = 5, kills: int = 2
) -> dict[str, Any]:
    """One scenario: everything reaches everybody while `kind` is killed that many times at seeded moments."""
    rng = random.Random(f"{kind}{seed}")
    total = recipients * cases
    with World(database=database) as world:
        world.command("companies", "import", str(world.register(recipients)))
        key = world.environment.get("NARDIALOG_INSTALLATION__RECIPIENT_KEY")
        made = world.cases(cases)
        expected = _expected([case.key for case in made], recipients, key)
        for service in ("matcher", "notifier"):
            world.start(service)
        books = Books(world.settings)
        await books.start()
        began = time.monotonic()
        await world.publish(made[:-1])  # the last case comes after the last kill: there is always work left to lose
        progress = partial(len, books.invitations) if kind == "matcher" else world.taken
        killed_at = []
        for share in sorted(rng.uniform(0.05, 0.85) for _ in range(kills)):
            goal = min(int(total * share), total - recipients)
            await until(partial(_reached, progress, goal), progress)
            world.kill(kind)
            if kind == "matcher":
                await books.caught_up()  # what it had published when it died, not what we had read by then
            killed_at.append(progress())
            world.revive(kind)
        await world.publish(made[-1:])
        await until(lambda: expected <= set(books.final), books.moves)
        await books.caught_up()
        await books.stop()
        return {
            "kind": kind,
            "injected": world.kills[kind],
            "killed_at": killed_at,
            **balance(expected, books, world.accepted()),
            "seconds": round(time.monotonic() - began, 1),
        }


def _reached(progress: Callable[[], int], goal: int) -> bool:
    return progress() >= goal


def _expected(keys: list[str], recipients: int, key: str | None) -> set[str]:
    """By the identity rules alone, without asking any service: each organisation is invited to each case's round."""
    secret = key.encode() if key else DEMO_RECIPIENT_KEY
    people = [recipient_id(f"EXO-{i:05}", secret) for i in range(recipients)]
    rounds = [round_id(case, "forslag", 1, "ask") for case in keys]
    return {invitation_id(round_, person) for round_ in rounds for person in people}


KINDS = ("matcher", "notifier", "kafka", "postgresql")
SEVERAL = "matchers"
"""Two of each, see `several`."""
DATABASES = ("sqlite", "postgresql")
ALL: Final = (*KINDS, SEVERAL, *STEPS, *TROUBLES, receipts.KIND, disk.KIND)


@dataclass(frozen=True)
class Size:
    """How much work a fault comes into."""

    recipients: int
    cases: int
    messages: int


def databases(kind: str) -> tuple[str, ...]:
    """The ledgers that a kind of fault is tried on: several notifiers share only a PostgreSQL."""
    return ("postgresql",) if kind in ("postgresql", SEVERAL) else DATABASES


async def scenario(kind: str, database: str, *, seed: int, size: Size) -> dict[str, Any]:
    """The scenario of a kind; `several` makes as many invitations of its own waves of cases."""
    if kind in KINDS:
        return await run(kind, seed=seed, database=database, recipients=size.recipients, cases=size.cases)
    if kind == SEVERAL:
        per_wave = 12
        recipients = max(1, size.recipients * size.cases // (per_wave * len(several.TURNS)))
        return await several.run(seed=seed, recipients=recipients, per_wave=per_wave)
    if kind == disk.KIND:
        return await disk.run(database, seed=seed, messages=size.messages)
    with ledger(database) as url:
        if kind in STEPS:
            return await steps.run(kind, url, seed=seed, messages=size.messages, kills=2)
        if kind == receipts.KIND:
            return await receipts.run(url, seed=seed, messages=size.messages)
        return await troubles.run(kind, url, seed=seed, messages=size.messages)


@contextmanager
def ledger(database: str) -> Iterator[str]:
    """The address of an empty ledger that is gone afterwards."""
    if database == "postgresql":
        server = PostgresServer()
        try:
            yield server.start().create_database("ledger")
        finally:
            server.stop()
        return
    with tempfile.TemporaryDirectory(prefix="ledger-") as folder:
        yield f"sqlite+aiosqlite:///{folder}/ledger.db"


WRONG: Final = ("lost", "doubled", "stuck", "owed", "unexpected", "contradicted", "not_open")
"""What must be nought."""


def main() -> int:
    """Runs the scenarios, prints a table or an object, ends with 1 if anything was lost, doubled or stuck."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=main.__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--kind", choices=ALL, action="append")
    parser.add_argument("--database", choices=DATABASES, action="append")
    parser.add_argument("--recipients", type=int, default=1000)
    parser.add_argument("--cases", type=int, default=5, help="each reaches every recipient")
    parser.add_argument("--messages", type=int, default=1000, help="where a ledger stands alone")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    logging.getLogger("mail.log").setLevel(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    size = Size(given.recipients, given.cases, given.messages)
    rows = []
    for n, kind in product(range(given.rounds), given.kind or ALL):
        for database in databases(kind):
            if database in (given.database or DATABASES):
                found = asyncio.run(scenario(kind, database, seed=given.seed + n, size=size))
                rows.append({"database": database, **found})
                print(f"{kind} on {database}: {found['resolved']}", file=sys.stderr)
    if given.json:
        print(json.dumps({"seed": given.seed, "faults": rows}))
    else:
        _print(rows)
    return int(any(row.get(name) for row in rows for name in WRONG))


_COLUMNS: Final = (
    "kind", "database", "injected", "invitations", "messages", "lost", "doubled", "resent_unknown", "copies", "stuck",
    "resolved", "seconds",
)  # fmt: skip


def _print(rows: list[dict[str, Any]]) -> None:
    others = dict.fromkeys(name for row in rows for name in WRONG if row.get(name) and name not in _COLUMNS)
    table = Table(*_COLUMNS, *others)
    for row in rows:
        table.add_row(*(str(row.get(name, "")) for name in (*_COLUMNS, *others)))
    Console(width=180).print(table)


if __name__ == "__main__":
    sys.exit(main())
