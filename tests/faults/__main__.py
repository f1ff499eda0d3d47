"""`python -m tests.faults`: kills real processes in the middle of real work and counts what was lost or doubled."""

import argparse
import asyncio
import json
import random
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from rich.console import Console
from rich.table import Table

from schemas.identity import DEMO_RECIPIENT_KEY, invitation_id, recipient_id, round_id
from schemas.topics import INVITATIONS
from services.runtime.topic_admin import TopicAdmin
from tests.faults.world import Books, World, balance

PATIENCE = 120.0
"""Seconds until what is not settled counts as stuck."""


async def until(condition: Callable[[], bool], seconds: float = PATIENCE) -> bool:
    """Waits for a condition; False when the time is over."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while not condition():
        if loop.time() > end:
            return False
        await asyncio.sleep(0.05)
    return True


async def run(kind: str, *, seed: int, recipients: int = 1000, cases: int = 5, kills: int = 2) -> dict[str, Any]:
    """One scenario: everything reaches everybody while `kind` is killed that many times at seeded moments."""
    rng = random.Random(f"{kind}{seed}")
    total = recipients * cases
    with World(delay=0.0) as world:
        world.command("companies", "import", str(world.register(recipients)))
        key = world.environment.get("NARDIALOG_INSTALLATION__RECIPIENT_KEY")
        made = world.cases(cases)
        expected = _expected([case.key for case in made], recipients, key)
        for service in ("matcher", "notifier"):
            world.start(service)
        books = Books(world.settings)
        await books.start()
        await world.publish(made)
        for share in sorted(rng.uniform(0.05, 0.85) for _ in range(kills)):
            progress = _invited(world) if kind == "matcher" else _sent(world)
            await until(partial(_reached, progress, int(total * share)))
            world.kill(kind)
            world.revive(kind)
        await until(lambda: expected <= set(books.final))
        await books.caught_up()
        await books.stop()
        return {
            "kind": kind,
            "injected": world.kills[kind],
            **balance(expected, books, world.accepted()),
        }


def _reached(progress: Callable[[], int], goal: int) -> bool:
    return progress() >= goal


def _sent(world: World) -> Callable[[], int]:
    return lambda: sum(world.accepted().values())


def _invited(world: World) -> Callable[[], int]:
    def count() -> int:
        with TopicAdmin(world.kafka.bootstrap) as admin:
            return sum(admin.ends([INVITATIONS.name]).values())

    return count


def _expected(keys: list[str], recipients: int, key: str | None) -> set[str]:
    """By the identity rules alone, without asking any service: each organisation is invited to each case's round."""
    secret = key.encode() if key else DEMO_RECIPIENT_KEY
    people = [recipient_id(f"EXO-{i:05}", secret) for i in range(recipients)]
    rounds = [round_id(case, "forslag", 1, "ask") for case in keys]
    return {invitation_id(round_, person) for round_ in rounds for person in people}


KINDS = ("matcher", "notifier", "kafka")


def main() -> int:
    """Runs the scenarios, prints a table or an object, ends with 1 if anything was lost, doubled or stuck."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=main.__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--kind", choices=KINDS, action="append")
    parser.add_argument("--recipients", type=int, default=1000)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    rows = [
        asyncio.run(run(kind, seed=given.seed + n, recipients=given.recipients))
        for n in range(given.rounds)
        for kind in given.kind or KINDS
    ]
    if given.json:
        print(json.dumps({"seed": given.seed, "faults": rows}))
    else:
        table = Table(*rows[0])
        for row in rows:
            table.add_row(*(str(value) for value in row.values()))
        Console().print(table)
    return int(any(row["lost"] or row["doubled"] or row["stuck"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
