"""`python -m tests.year`: a simulated year of a municipality, in minutes, and what an oracle of its own says of it.

Cases of all types walk through their stages; companies answer, say stop, leave the register, have dead addresses;
officials withdraw, correct, move and undo. The matcher and the notifier are the wired ones, on topics in memory and
under a clock that jumps from event to event.
"""

import argparse
import asyncio
import json
import logging
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import structlog
from rich.console import Console
from rich.table import Table

from tests.year.ledger import in_this_thread
from tests.year.life import Year
from tests.year.oracle import Check, Oracle
from tests.year.town import Size

MEMORY: Final = Path("/dev/shm")
"""Where there is one: nothing of a simulated year must survive a loss of power."""


def run(size: Size, seed: int, on_day: Callable[[Year], None] = lambda _: None) -> tuple[Year, list[Check]]:
    """One year, and its checks."""
    where = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="year-", dir=where) as folder:
        year = Year(size, seed, f"sqlite+aiosqlite:///{folder}/ledger.db")
        with in_this_thread():
            asyncio.run(year.live(on_day))
    return year, Oracle(year).checks()


def figures(year: Year) -> dict[str, int]:
    """What the year was made of."""
    stages = {(r.case_type, r.stage) for r in year.rounds.values()}
    copies = Counter((copy.channel, copy.kind) for sink in year.sinks for copy in sink.copies)
    told = Counter(event.state.value for event in year.deliveries())
    made = {
        "companies": len(year.firms), "subscriptions": sum(len(p.subscriptions) for p in year.people),
        "cases": len({h.case["case_id"] for h in year.happenings}), "events of cases": len(year.happenings),
        "case types": len({kind for kind, _ in stages}), "stages": len(stages), "rounds": len(year.rounds),
        "invitations": len(year.invitations), "answers": len(year.notes.answered), "stops": len(year.notes.stops),
        "left the register": len(year.notes.gone), "undone by an official": year.notes.undone,
        "nights that the notifier was down": len(year.notes.down), "refused events": len(year.log.dead),
    }  # fmt: skip
    sent = {f"{channel}: {kind}": count for (channel, kind), count in sorted(copies.items())}
    return made | sent | {f"told: {state}": count for state, count in sorted(told.items())}


def main() -> int:
    """Lives a year, prints the table of what held, ends with 1 if something did not."""
    parser = argparse.ArgumentParser(prog="python -m tests.year", description=main.__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--companies", type=int, default=2000, help="each with three subscriptions")
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    began = time.monotonic()
    year, checks = run(Size(given.companies, given.cases, given.days), given.seed, _Progress())
    seconds = round(time.monotonic() - began)
    found = {"seed": given.seed, "seconds": seconds, **figures(year)}
    if given.json:
        told = [{"rule": c.rule, "looked": c.looked, "broken": len(c.broken), "first": c.broken[:3]} for c in checks]
        print(json.dumps({"figures": found, "checks": told}, ensure_ascii=False))
    else:
        _print(found, checks)
    return int(any(check.broken for check in checks))


class _Progress:
    """Says each day how far it is: over itself on a terminal, line by line in a file."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def __call__(self, year: Year) -> None:
        taken, seconds = sum(len(sink.copies) for sink in year.sinks), round(time.monotonic() - self._began)
        said = f"{year.clock.now().date()}: {len(year.invitations)} invitations, {taken} messages, {seconds} s"
        print(said, end="\r" if sys.stderr.isatty() else "\n", file=sys.stderr, flush=True)


def _print(found: dict[str, Any], checks: list[Check]) -> None:
    console = Console(width=120)
    made = Table("what the year was made of", "")
    for name, value in found.items():
        made.add_row(name, str(value))
    console.print(made)
    held = Table("rule", "looked at", "broken", "the first")
    for check in checks:
        held.add_row(check.rule, str(check.looked), str(len(check.broken)), check.broken[0] if check.broken else "")
    console.print(held)


if __name__ == "__main__":
    sys.exit(main())
