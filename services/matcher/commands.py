"""The matcher's own commands: `nardialog match` and `nardialog companies import`.

Data goes to stdout; progress, summaries and refusals go to stderr. Each returns its exit code: 0 ok, 1 failed, 2 usage,
5 broker unreachable, 6 partly done.
"""

import asyncio
import json as json_text
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import App, Parameter

if TYPE_CHECKING:  # a command's help must not wait for numpy and shapely
    from services.matcher.files import Result
    from services.matcher.register.reading import RegisterFile
    from services.matcher.register.report import Report
    from services.matcher.settings import MatcherSettings
    from services.runtime.clock import Clock

OK, FAILED, USAGE, UNREACHABLE, PARTLY = 0, 1, 2, 5, 6
SHOWN: Final = 20
"""How many refusals are shown before they are only counted."""

Later = Annotated[Path | None, Parameter(show=False)]

companies = App(name="companies", help="The company register.")


def match(
    *,
    register: Path,
    cases: Path,
    subscriptions: Path | None = None,
    model: Path | None = None,
    register_mapping: Later = None,
    case_mapping: Later = None,
    crs: Annotated[str | None, Parameter(show=False)] = None,
    no_holds: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Match cases to a register on files, without a broker.

    JSON Lines on stdout, one invitation a line; the summary, holds and refusals on stderr. Exit 6 if some input was
    refused or held.

    Parameters
    ----------
    register
        The company register: CSV in Närdialog's own shape.
    cases
        The case file: JSON Lines, one case's full state a line.
    subscriptions
        Who follows what: JSON Lines, one subscription's event a line.
    model
        The dialogue model; without it, NARDIALOG_MODEL__FILE or the one that comes with the product.
    no_holds
        Match held cases too.
    """
    later = {
        "--register-mapping": register_mapping, "--case-mapping": case_mapping,
        "--crs": crs,
    }  # fmt: skip
    if refused := _comes_later(later):
        return refused
    from services.runtime.errors import Fault

    try:
        return _match(register, cases, subscriptions, model, no_holds)
    except Fault as error:
        return _failed(error)


def _match(register: Path, cases: Path, subscriptions: Path | None, model_file: Path | None, no_holds: bool) -> int:
    from services.matcher import files
    from services.matcher.dialogue.working_days import local_day
    from services.matcher.register import formats, reading
    from services.matcher.register.checks import Rules
    from services.matcher.settings import MatcherSettings
    from services.matcher.workplaces import snapshot
    from services.runtime.clock import SystemClock
    from services.runtime.installation import ModelSettings
    from services.runtime.settings import load

    settings = load(MatcherSettings)
    model = settings.model if model_file is None else ModelSettings(file=model_file)
    anywhere, key = settings.matcher.allow_outside_sweden, settings.installation.key_or_demo()
    try:
        with _progress("register") as step:
            read = reading.read(register, Rules(key, anywhere=anywhere), step)
    except formats.Unreadable as error:
        return _failed(error)
    follows = files.subscriptions(subscriptions) if subscriptions else files.Read()
    limits = None if no_holds else settings.matcher.limits()
    today: date = local_day(SystemClock().now())
    with _progress("cases") as step:
        result = files.match(
            cases,
            snapshot(read.companies.values()),
            model.load(),
            today,
            key=key,
            limits=limits,
            anywhere=anywhere,
            on_case=step,
            subscribers=follows.subscribers,
        )
    for line in result.lines():
        sys.stdout.write(line + "\n")
    sys.stdout.flush()
    _say_refused([f"{register.name}: line {r.line}: {r.reason}: {r.detail}" for r in read.report.refusals])
    _say_refused([f"{subscriptions.name}: {refused}" for refused in follows.refused] if subscriptions else [])
    _say_refused([f"{cases.name}: {refused}" for refused in result.refused])
    for held in result.held:
        _say(f"{cases.name}: case {held.case_id} held: {held.reason}: {held.detail}")
    _say(_summary(read.report.accepted, read.report.refused, result))
    refusals = read.report.refused or follows.refused or result.refused
    return PARTLY if refusals or result.held else OK


def _summary(workplaces: int, refused: int, result: "Result") -> str:
    states = ", ".join(f"{count} {state}" for state, count in sorted(result.states.items())) or "none"
    invited = sum(len(items) for items in result.invitations.values())
    return (
        f"register: {workplaces} workplaces, {refused} rows refused; cases: {result.cases} read, "
        f"{len(result.refused)} refused, {result.stale} of an older version ignored; rounds: {states}; "
        f"invitations: {invited}"
    )


@companies.command(name="import")
def import_(
    file: Path,
    /,
    *,
    mapping: Later = None,
    crs: Annotated[str | None, Parameter(show=False)] = None,
    encoding: Annotated[str | None, Parameter(show=False)] = None,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    report: Path | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Bring a company register to the topics, or only report on it.

    Exit 6 if some rows were refused.

    Parameters
    ----------
    file
        The register: CSV in Närdialog's own shape.
    dry_run
        Check the file and write nothing.
    report
        Write the refused rows here, as CSV: line, reason, what to do.
    json
        Print the counts as one JSON object.
    """
    if refused := _comes_later({"--mapping": mapping, "--crs": crs, "--encoding": encoding}):
        return refused
    from services.matcher.register.formats import Unreadable
    from services.runtime.errors import Fault, Transient

    try:
        return _import(file, dry_run, report, json)
    except (Fault, Unreadable, OSError) as error:
        return _failed(error)
    except Transient as error:
        _say(str(error))
        return UNREACHABLE


def _import(file: Path, dry_run: bool, refusals: Path | None, as_json: bool) -> int:
    from services.matcher.register import reading
    from services.matcher.register.checks import Rules
    from services.matcher.register.report import write_refusals
    from services.matcher.settings import MatcherSettings
    from services.matcher.workplaces import content_hash
    from services.runtime.settings import load

    settings = load(MatcherSettings)
    key = settings.installation.key_or_demo() if dry_run else settings.installation.key()
    with _progress("rows") as step:
        read = reading.read(file, Rules(key, anywhere=settings.matcher.allow_outside_sweden), step)
    if refusals is not None:
        write_refusals(refusals, read.report.refusals)
    if dry_run:
        read.report.register_version = content_hash(read.companies.values())
    else:
        asyncio.run(import_file(read, settings))
    _say_refused([f"{file.name}: line {r.line}: {r.reason}: {r.detail}" for r in read.report.refusals])
    counts = read.report.as_json()
    if as_json:
        sys.stdout.write(json_text.dumps(counts, ensure_ascii=False) + "\n")
    else:
        _say(", ".join(f"{name}: {value}" for name, value in counts.items() if isinstance(value, int)))
        _say("".join(f"\n  {reason}: {count}" for reason, count in counts["reasons"].items()).lstrip("\n"))
    return PARTLY if read.report.refused else OK


async def import_file(read: "RegisterFile", settings: "MatcherSettings", clock: "Clock | None" = None) -> "Report":
    """Publishes a checked file; also what the demo calls."""
    from services.matcher.register.publish import publish
    from services.runtime.broker import Broker
    from services.runtime.clock import SystemClock

    clock = clock or SystemClock()
    broker = Broker(settings.kafka, service="register")
    await broker.connect()
    try:
        return await publish(read, broker, settings.kafka, settings.installation.seal(), clock)
    finally:
        await broker.stop()


def _comes_later(options: Mapping[str, object]) -> int:
    given = [name for name, value in options.items() if value is not None]
    if given:
        _say(f"{', '.join(given)}: comes in a later release; use files in Närdialog's own shape, WGS 84, UTF-8")
    return USAGE if given else OK


def _failed(error: Exception) -> int:
    _say(str(error))
    return FAILED


def _say_refused(lines: list[str]) -> None:
    for line in lines[:SHOWN]:
        _say(line)
    if len(lines) > SHOWN:
        _say(f"... and {len(lines) - SHOWN} more refused")


def _say(text: str) -> None:
    if text:
        sys.stderr.write(text + "\n")


@contextmanager
def _progress(what: str) -> Iterator[Callable[[], None]]:
    """Counts on a terminal's stderr; nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda: bar.advance(task)
