"""`nardialog match`: the matcher on files. `nardialog companies import` stands in `register/commands.py`.

Data goes to stdout; progress, summaries and refusals go to stderr. Each returns its exit code: 0 ok, 1 failed, 2 usage,
5 broker unreachable, 6 partly done.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from services.matcher.case_formats import Format

if TYPE_CHECKING:  # a command's help must not wait for numpy and shapely
    from services.matcher.case_formats.reading import Told
    from services.matcher.files import RefusedLine, Result
    from services.matcher.register.reading import Asked

OK, FAILED, USAGE, UNREACHABLE, PARTLY = 0, 1, 2, 5, 6
SHOWN: Final = 20
"""How many rows of a register, or notes, are shown before they are only counted."""
ROWS: Final = "refused; `nardialog companies import --dry-run --report R.csv` has all of them"


def match(
    *,
    register: Path,
    cases: Path,
    subscriptions: Path | None = None,
    dialogues: Path | None = None,
    model: Path | None = None,
    register_mapping: str | None = None,
    case_mapping: Path | None = None,
    case_format: Format | None = None,
    crs: str | None = None,
    no_holds: Annotated[bool, Parameter(negative="")] = False,
    rounds: Path | None = None,
    day: str | None = None,
) -> int:
    """Match cases to a register on files, without a broker.

    JSON Lines on stdout, one invitation a line; the summary, holds and refusals on stderr. Exit 6 if some input was
    refused or held.

    Parameters
    ----------
    register
        The company register: CSV, GeoPackage, Shapefile, GeoJSON, GeoParquet or JSON records.
    cases
        The case file: JSON Lines, one case's full state a line, or one of the formats that `case import` reads.
    subscriptions
        Who follows what: JSON Lines, one subscription's event a line.
    dialogues
        What officials decided: JSON Lines, all decisions on a case a line.
    case_mapping
        Which of the case file's fields is which of ours (TOML).
    case_format
        The case file's format; without it, what its content shows.
    model
        The dialogue model; without it, NARDIALOG_MODEL__FILE or the one that comes with the product.
    register_mapping
        How somebody else's columns become ours: a mapping file, or the name of one that comes with the product
        (scb, scb-bulk, hvd).
    crs
        The coordinate system of the register's places, such as EPSG:3006.
    no_holds
        Match held cases too.
    rounds
        Write the rounds here, JSON Lines: state, times, counts, and the hashes of model, register and set.
    day
        The day on which rounds open, such as 2026-11-25, where a case has no stage_opened; without it, today.
    """
    from services.matcher.case_formats.reading import Told
    from services.matcher.register.reading import Asked
    from services.runtime.errors import Fault

    try:
        opened = date.fromisoformat(day) if day else None
    except ValueError:
        return _usage(f"--day {day}: not a day; write it as 2026-11-25")
    besides = _Besides(subscriptions, dialogues, rounds, opened)
    try:
        told = Told(case_format, None if case_mapping is None else text_of(case_mapping))
        return _match(register, cases, told, besides, model, no_holds, Asked(register_mapping, crs))
    except Fault as error:
        return _failed(error)


@dataclass(frozen=True)
class _Besides:
    """What `match` may be given beside a register and cases."""

    subscriptions: Path | None
    dialogues: Path | None
    rounds: Path | None
    day: date | None


def _match(
    register: Path,
    cases: Path,
    told: "Told",
    besides: _Besides,
    model_file: Path | None,
    no_holds: bool,
    asked: "Asked",
) -> int:
    from services.matcher import files
    from services.matcher.dialogue.working_days import local_day
    from services.matcher.register import formats, reading
    from services.matcher.register.checks import Rules
    from services.matcher.register.progress import rows_progress
    from services.matcher.settings import MatcherSettings
    from services.matcher.workplaces import snapshot
    from services.runtime.clock import SystemClock
    from services.runtime.installation import ModelSettings
    from services.runtime.settings import load

    settings = load(MatcherSettings)
    model = settings.model if model_file is None else ModelSettings(file=model_file)
    anywhere, key = settings.matcher.allow_outside_sweden, settings.installation.key_or_demo()
    try:
        with rows_progress("register") as on_rows:
            read = reading.read(register, Rules(key, anywhere=anywhere), asked, on_rows)
    except formats.Unreadable as error:
        return _failed(error)
    subscriptions, dialogues = besides.subscriptions, besides.dialogues
    follows = files.subscriptions(subscriptions) if subscriptions else files.Read()
    decisions = files.dialogues(dialogues) if dialogues else files.Decisions()
    limits = None if no_holds else settings.matcher.limits()
    today: date = besides.day or local_day(SystemClock().now())
    version = read.companies.version()
    known = snapshot(read.companies.drained(), register_version=version)
    with progress("cases") as step:
        result = files.match(
            cases,
            known,
            model.load(),
            today,
            key=key,
            limits=limits,
            anywhere=anywhere,
            told=told,
            on_case=step,
            subscribers=follows.subscribers,
            dialogues=decisions.dialogues,
        )
    if besides.rounds is not None:
        result.write_rounds(besides.rounds)
    for line in result.lines():
        sys.stdout.write(line + "\n")
    sys.stdout.flush()
    _say_some(read.report.said(register.name), ROWS)
    _say_some([f"{register.name}: {note}" for note in read.report.notes], "notes")
    _say_all(subscriptions, follows.refused)
    _say_all(dialogues, decisions.refused)
    _say_all(cases, result.refused)
    for held in result.held:
        _say(f"{cases.name}: case {held.case_id} held: {held.reason}: {held.detail}")
    _say_some([f"{cases.name}: {note}" for note in result.notes], "notes")
    _say(_summary(read.report.accepted, read.report.refused, result))
    refusals = read.report.refused or follows.refused or decisions.refused or result.refused
    return PARTLY if refusals or result.held else OK


def text_of(path: Path) -> str:
    """A mapping file's text. Raises `Fault`."""
    from services.runtime.errors import Fault

    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise Fault(f"{path.name}: {error.strerror or 'cannot be read'}; check the path") from None
    except UnicodeDecodeError:
        raise Fault(f"{path.name}: is not UTF-8; save it as UTF-8") from None


def _summary(workplaces: int, refused: int, result: "Result") -> str:
    states = ", ".join(f"{count} {state}" for state, count in sorted(result.states.items())) or "none"
    skipped = f", {result.skipped} left out by the mapping" if result.skipped else ""
    invited = sum(len(items) for items in result.invitations.values())
    return (
        f"register: {workplaces} workplaces, {refused} rows refused; cases: {result.cases} read, "
        f"{len(result.refused)} refused, {result.stale} of an older version ignored{skipped}; rounds: {states}; "
        f"invitations: {invited}"
    )


def _usage(text: str) -> int:
    _say(text)
    return USAGE


def _failed(error: Exception) -> int:
    _say(str(error))
    return FAILED


def _say_all(path: Path | None, refused: "list[RefusedLine]") -> None:
    """Every case, subscription and decision that was refused: whoever sent it must hear of it."""
    if path is not None:
        for line in refused:
            _say(f"{path.name}: {line}")


def _say_some(lines: list[str], what: str) -> None:
    for line in lines[:SHOWN]:
        _say(line)
    if len(lines) > SHOWN:
        _say(f"... and {len(lines) - SHOWN} more {what}")


def _say(text: str) -> None:
    if text:
        sys.stderr.write(text + "\n")


@contextmanager
def progress(what: str) -> Iterator[Callable[[], None]]:
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
