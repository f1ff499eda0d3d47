"""`nardialog case import`: other people's case files. It stands above the services: the matcher's readers make cases of
the file, and the portal's desk takes them as it takes what is submitted.

One function after the other: read, judge, number, publish, count. A dry run asks no broker, so to it everything is new.
"""

import asyncio
import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from services.matcher.case_formats import Format
from services.matcher.register.counts import COUNTS, Counts
from services.portal.commands import File, Flag, Json
from services.portal.order_commands import case
from services.runtime.terminal import OK, PARTLY, failed, printable, say

if TYPE_CHECKING:  # help must not wait for the services
    from schemas.case import Case
    from schemas.complaints import Complaint
    from services.matcher.case_formats.reading import Told
    from services.portal.case_settings import CaseSettings

__all__ = ["case"]

REGISTERS: Final = frozenset({"detaljplan", "wzdx", "ukplanning"})
"""Formats whose files hold what was decided long ago beside what is under way."""
REGISTER_SINCE: Final = timedelta(days=90)
SHOWN: Final = 20
"""How many refusals are shown before they are only counted."""


@dataclass(frozen=True)
class Asked:
    """What to import, and how."""

    file: str
    told: "Told"
    since: date | None
    dry_run: bool


@dataclass(frozen=True)
class Taken:
    """A case that keeps the rules, where it stands, and how its source numbers it."""

    place: str
    case: "Case"
    number: int | None
    is_history: bool
    """Whether its stage began so long ago that it is no news."""


@dataclass
class Report(Counts):
    """One import of cases."""

    rows: list[tuple[str, str, str, str, str]] = field(default_factory=list)
    """Each complaint: place in the file, case, pointer, reason, what to do."""

    def refuse(self, place: str, case_: str | None, complaints: "tuple[Complaint, ...]") -> None:
        """Counts a refusal by its first reason, and keeps all of them."""
        self.refused += 1
        self.reasons[complaints[0].code] += 1
        self.rows += [(place, case_ or "", item.pointer, item.code, item.detail) for item in complaints]


@case.command(name="import")
def import_(
    file: File,
    /,
    *,
    format_: Annotated[Format | None, Parameter(name="--format")] = None,
    mapping: Path | None = None,
    crs: str | None = None,
    encoding: str | None = None,
    since: date | None = None,
    dry_run: Flag = False,
    report: Path | None = None,
    json_: Json = False,
) -> int:
    """Bring the cases of a file to the topics: ours, GeoJSON, plans, road works, planning applications.

    Only what is new or different is sent. What is no longer in the file is left as it is. Exit 6 if some were refused.

    Parameters
    ----------
    file
        The file.
    format_
        The file's format; without it, what its content shows.
    mapping
        Which of its fields is which of ours (TOML).
    crs
        The reference system of GeoJSON's coordinates, such as EPSG:3011; without it, what the file says, or WGS 84.
    encoding
        The file's encoding, if it is not UTF-8.
    since
        Leave out cases that are not known yet and whose stage began before this day; for plans, road works and
        planning applications by default what began more than 90 days ago, because such a file is a whole register.
    dry_run
        Read and check the file without a broker, as if nothing were known, and send nothing.
    report
        Write what was refused here, as CSV: place, case, pointer, reason, what to do.
    json_
        Print the counts as one JSON object.
    """
    from services.matcher.case_formats.items import Unreadable
    from services.matcher.case_formats.reading import Told
    from services.portal.case_settings import CaseSettings
    from services.runtime.settings import load

    try:
        text = None if mapping is None else mapping.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        return failed(f"{mapping}: is not UTF-8")
    try:
        asked = Asked(file, Told(format_, text, crs, encoding), since, dry_run)
        done = asyncio.run(_import(asked, load(CaseSettings)))
    except Unreadable as error:
        return failed(f"{file}: {error}")
    if report is not None:
        _write(report, done)
    _say_refused(file, done)
    if json_:
        print(json.dumps(done.as_json(), ensure_ascii=False))
    else:
        say(", ".join(f"{name}: {getattr(done, name)}" for name in COUNTS))
        for reason, count in sorted(done.reasons.items()):
            say(f"  {reason}: {count}")
    return PARTLY if done.refused else OK


async def _import(asked: "Asked", settings: "CaseSettings") -> Report:
    from services.portal.case_desk import Desk
    from services.portal.case_orders import submission

    done = Report()
    taken = list(_taken(asked, settings, done))
    if asked.dry_run:
        known: dict[str, Case] = {}
        for one in taken:
            _numbered(one, known, done)
        return done
    async with Desk(settings) as desk:
        for one in taken:
            before = desk.book.cases.get(one.case.key)
            if (sent := _numbered(one, desk.book.cases, done)) is not None:
                rounds = desk.book.of_case(sent.key)
                await desk.publish(submission(sent, before, rounds, settings.kafka, desk.now()))
    return done


def _taken(asked: "Asked", settings: "CaseSettings", done: Report) -> "Iterator[Taken]":
    """The cases of a file that keep the rules of every door; the others are counted."""
    from schemas.applicant import keyed
    from schemas.case_rules import judge
    from services.matcher.case_formats.items import Draft, Skipped
    from services.matcher.case_formats.reading import items, kind_of
    from services.matcher.dialogue.working_days import local_day
    from services.portal.case_files import contents
    from services.runtime.clock import SystemClock

    model, anywhere = settings.model.load(), settings.matcher.allow_outside_sweden
    key = settings.installation.key_or_demo if asked.dry_run else settings.installation.key
    data, today = contents(asked.file), local_day(SystemClock().now())
    since = asked.since or (today - REGISTER_SINCE if kind_of(data, asked.told) in REGISTERS else None)
    for item in items(data, asked.told, model, today):
        done.read += 1
        if isinstance(item, Skipped):
            done.skipped += 1
        elif not isinstance(item, Draft):
            done.refuse(item.place, item.case, item.complaints)
        elif (verdict := judge(item.value, model, anywhere=anywhere)).case is None:
            done.refuse(item.place, None if verdict.confidential else item.case, verdict.complaints)
        else:
            opened = item.opened or verdict.case.stage_opened
            yield Taken(item.place, keyed(verdict.case, key), item.numbered, bool(since and opened and opened < since))


def _numbered(one: Taken, known: "dict[str, Case]", done: Report) -> "Case | None":
    """The case as it is to be sent, known from now on; None where it is not sent."""
    from schemas.case import Case, CaseState
    from services.portal.case_numbering import numbered

    before = known.get(one.case.key)
    if before is None and one.is_history:
        done.skipped += 1
        done.reasons["before_since"] += 1
        return None
    what = numbered(one.case, before, one.number)
    if isinstance(what, Case):
        done.accepted += 1
        done.added += before is None
        if what.state is CaseState.OPEN:
            done.changed += 1
        else:
            done.closed += 1
        known[what.key] = what
        return what
    if what is None:
        done.accepted += 1
        done.unchanged += 1
    else:
        done.refuse(one.place, one.case.case_id, (what,))
    return None


def _write(path: Path, done: Report) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["place", "case", "pointer", "reason", "detail"])
        writer.writerows(done.rows)


def _say_refused(file: str, done: Report) -> None:
    for place, name, pointer, reason, detail in done.rows[:SHOWN]:
        say(printable(f"{file}: {place}{f' ({name})' if name else ''}: {pointer or '/'}: {reason}: {detail}"))
    if len(done.rows) > SHOWN:
        say(f"... and {len(done.rows) - SHOWN} more; --report R.csv has all of them")
