"""`nardialog case import`: other people's case files. It stands above the services: the matcher's readers make cases of
the file, and the portal's desk takes them as it takes what is submitted.

One function after the other: read, judge, number, publish, count. A dry run asks no broker, so to it everything is new.
"""

import asyncio
import csv
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter

from services.matcher.case_formats import Format
from services.portal.commands import File, Flag, Json, case
from services.runtime.terminal import OK, PARTLY, failed, printable, say

if TYPE_CHECKING:  # help must not wait for the services
    from schemas.case import Case
    from schemas.complaints import Complaint
    from schemas.model import DialogueModel
    from services.matcher.case_formats.items import Item
    from services.matcher.case_formats.reading import Told
    from services.portal.case_settings import CaseSettings

__all__ = ["case"]

COUNTS: Final = ("read", "accepted", "added", "changed", "closed", "unchanged", "skipped", "refused")
SHOWN: Final = 20
"""How many refusals are shown before they are only counted."""


@dataclass
class Report:
    """What an import did."""

    read: int = 0
    accepted: int = 0
    added: int = 0
    """Of `changed` and `closed`, those that were not known before."""
    changed: int = 0
    """Cases that were sent."""
    closed: int = 0
    """Cases that were sent because they have ended."""
    unchanged: int = 0
    skipped: int = 0
    refused: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    rows: list[tuple[str, str, str, str, str]] = field(default_factory=list)
    """Each complaint: place in the file, case, pointer, reason, what to do."""

    def refuse(self, place: str, case_: str | None, complaints: "tuple[Complaint, ...]") -> None:
        """Counts a refusal by its first reason, and keeps all of them."""
        self.refused += 1
        self.reasons[complaints[0].code] += 1
        self.rows += [(place, case_ or "", item.pointer, item.code, item.detail) for item in complaints]

    def as_json(self) -> dict[str, Any]:
        """The object that `--json` prints."""
        return {name: getattr(self, name) for name in COUNTS} | {"reasons": dict(sorted(self.reasons.items()))}


@case.command(name="import")
def import_(
    file: File,
    /,
    *,
    format_: Annotated[Format | None, Parameter(name="--format")] = None,
    mapping: Path | None = None,
    crs: str | None = None,
    encoding: str | None = None,
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
        done = asyncio.run(_import(file, Told(format_, text, crs, encoding), load(CaseSettings), dry_run=dry_run))
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


async def _import(file: str, told: "Told", settings: "CaseSettings", *, dry_run: bool) -> Report:
    from services.portal.case_desk import Desk
    from services.portal.case_orders import submission

    done = Report()
    taken = list(_taken(file, told, settings, done))
    if dry_run:
        known: dict[str, Case] = {}
        for place, given, number in taken:
            _numbered(place, given, number, known, done)
        return done
    async with Desk(settings) as desk:
        for place, given, number in taken:
            before = desk.book.cases.get(given.key)
            if (sent := _numbered(place, given, number, desk.book.cases, done)) is not None:
                rounds = desk.book.of_case(sent.key)
                await desk.publish(submission(sent, before, rounds, settings.kafka, desk.now()))
    return done


def _taken(file: str, told: "Told", settings: "CaseSettings", done: Report) -> "Iterator[tuple[str, Case, int | None]]":
    """The cases of a file that keep the rules of every door; the others are counted."""
    from schemas.case_rules import judge
    from services.matcher.case_formats.items import Draft, Skipped
    from services.portal.case_files import contents

    model, anywhere = settings.model.load(), settings.matcher.allow_outside_sweden
    for item in _items(contents(file), told, model):
        done.read += 1
        if isinstance(item, Skipped):
            done.skipped += 1
        elif not isinstance(item, Draft):
            done.refuse(item.place, item.case, item.complaints)
        elif (verdict := judge(item.value, model, anywhere=anywhere)).case is None:
            done.refuse(item.place, None if verdict.confidential else item.case, verdict.complaints)
        else:
            yield item.place, verdict.case, item.numbered


def _items(data: bytes, told: "Told", model: "DialogueModel") -> "Iterator[Item]":
    from services.matcher.case_formats.reading import items
    from services.matcher.dialogue.working_days import local_day
    from services.runtime.clock import SystemClock

    today: date = local_day(SystemClock().now())
    return items(data, told, model, today)


def _numbered(place: str, given: "Case", number: int | None, known: "dict[str, Case]", done: Report) -> "Case | None":
    """The case as it is to be sent, known from now on; None where it is not sent."""
    from schemas.case import Case, CaseState
    from services.portal.case_numbering import numbered

    what = numbered(given, known.get(given.key), number)
    if isinstance(what, Case):
        done.accepted += 1
        done.added += what.key not in known
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
        done.refuse(place, given.case_id, (what,))
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
