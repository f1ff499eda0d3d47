"""`python -m tests.faults`: kills real processes in the middle of real work and counts what was lost or doubled."""

import argparse
import asyncio
import json
import random
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from rich.console import Console
from rich.table import Table

from schemas.identity import DEMO_RECIPIENT_KEY, invitation_id, recipient_id, round_id
from tests.faults import several
from tests.faults.world import Books, World, balance

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


KINDS = ("matcher", "notifier", "kafka")
SEVERAL = "matchers"
"""Two of each, see `several`."""


async def scenario(kind: str, *, seed: int, recipients: int, cases: int) -> dict[str, Any]:
    """The scenario of a kind; `several` makes as many invitations of its own waves of cases."""
    if kind != SEVERAL:
        return await run(kind, seed=seed, recipients=recipients, cases=cases)
    per_wave = 12
    return await several.run(
        seed=seed, recipients=max(1, recipients * cases // (per_wave * len(several.TURNS))), per_wave=per_wave
    )


def main() -> int:
    """Runs the scenarios, prints a table or an object, ends with 1 if anything was lost, doubled or stuck."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=main.__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--kind", choices=(*KINDS, SEVERAL), action="append")
    parser.add_argument("--recipients", type=int, default=1000)
    parser.add_argument("--cases", type=int, default=5, help="each reaches every recipient")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    rows = [
        asyncio.run(scenario(kind, seed=given.seed + n, recipients=given.recipients, cases=given.cases))
        for n in range(given.rounds)
        for kind in given.kind or (*KINDS, SEVERAL)
    ]
    if given.json:
        print(json.dumps({"seed": given.seed, "faults": rows}))
    else:
        columns = list(dict.fromkeys(name for row in rows for name in row))
        table = Table(*columns)
        for row in rows:
            table.add_row(*(str(row.get(name, "")) for name in columns))
        Console().print(table)
    wrong = ("lost", "doubled", "stuck", "contradicted", "not_open")
    return int(any(row.get(name) for row in rows for name in wrong))


if __name__ == "__main__":
    sys.exit(main())
