"""`nardialog companies import`: a register file to the topics, or only a report on it.

The counts go to stdout with `--json`; progress, summary and refusals go to stderr. Exit codes: 0 ok, 1 failed, 2 usage,
5 broker unreachable, 6 partly done. Nothing of a row's content is ever said; a row is found by its number.
"""

import asyncio
import json as json_text
import logging
import socket
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import App, Parameter

from services.runtime.terminal import FAILED, OK, PARTLY, UNREACHABLE, USAGE, agreed, can_ask, say

if TYPE_CHECKING:  # a command's help must not wait for numpy and shapely
    from services.matcher.register.publish import Told
    from services.matcher.register.reading import Asked, RegisterFile
    from services.matcher.register.report import Report
    from services.matcher.settings import MatcherSettings
    from services.runtime.clock import Clock

SHOWN: Final = 20
"""How many refusals are shown before they are only counted."""

BROKER_PATIENCE_S: Final = 1.0

companies = App(name="companies", help="The company register.")


@companies.command(name="import")
def import_(
    file: Path,
    /,
    *,
    mapping: str | None = None,
    crs: str | None = None,
    encoding: str | None = None,
    source: str = "register",
    partial: Annotated[bool, Parameter(negative="")] = False,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    report: Path | None = None,
    yes: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Bring a company register to the topics, or only report on it.

    Only differences are written. What the file no longer has is erased, as far as it came from the same source. Exit 6
    if some rows were refused.

    Parameters
    ----------
    file
        The register: CSV, GeoPackage, Shapefile, GeoJSON, GeoParquet or JSON records.
    mapping
        How somebody else's columns become ours: a mapping file, or the name of one that comes with the product
        (scb, scb-bulk, hvd).
    crs
        The coordinate system of the places, such as EPSG:3006; without it longitude and latitude, or what the file
        says itself.
    encoding
        The text's encoding, such as windows-1252; without it UTF-8, or what the file says itself.
    source
        Whose workplaces these are. An import erases only what came from its own source.
    partial
        The file is not the whole register: erase nothing.
    dry_run
        Check the file and write nothing. Where the broker answers, say what would be written.
    report
        Write the refused rows here, as CSV to correct and import with --partial.
    yes
        Erase also when that is more than NARDIALOG_MATCHER__IMPORT_MAX_ERASED_SHARE of the source's workplaces.
    json
        Print the counts as one JSON object.
    """
    from services.matcher.register.reading import Asked
    from services.matcher.register.source import Unreadable
    from services.runtime.errors import Fault, Transient

    try:
        return _import(file, Asked(mapping, crs, encoding), source, partial, dry_run, report, yes, json)
    except (Fault, Unreadable, OSError) as error:
        say(str(error))
        return FAILED
    except Transient as error:
        say(str(error))
        return UNREACHABLE


def _import(
    file: Path,
    asked: "Asked",
    source: str,
    partial: bool,
    dry_run: bool,
    refusals: Path | None,
    yes: bool,
    as_json: bool,
) -> int:
    from services.matcher.register import reading
    from services.matcher.register.checks import Rules
    from services.matcher.register.progress import rows_progress
    from services.matcher.register.publish import Told
    from services.matcher.register.report import write_refusals
    from services.matcher.settings import MatcherSettings
    from services.runtime.settings import load

    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what it has to say is said once, by us
    settings = load(MatcherSettings)
    key = settings.installation.key_or_demo() if dry_run else settings.installation.key()
    rules = Rules(key, anywhere=settings.matcher.allow_outside_sweden, source=source)
    with rows_progress("rows") as on_rows:
        read = reading.read(file, rules, asked, on_rows)
    if refusals is not None:
        write_refusals(refusals, read.report.refusals)
    _say_refused(read.report, file.name)
    for note in read.report.notes:
        say(f"{file.name}: {note}")
    if not (read.report.read or dry_run or yes):
        say("nothing is imported: an empty register would invite nobody; with --yes it is taken as it is")
        return FAILED
    told = Told(source, partial, None if yes else settings.matcher.import_max_erased_share)
    if dry_run:
        compared = _compared(read, settings, told)
        say("dry run: nothing is written" + ("" if compared else "; not compared with the topics"))
    elif not _written(read, settings, told):
        return USAGE
    if read.report.forgotten:
        say(read.report.forgotten)
    if read.report.elsewhere:
        say(
            f"{read.report.elsewhere} places lie outside the municipality that their row names (borders are simplified)"
        )
    counts = read.report.as_json()
    if as_json:
        sys.stdout.write(json_text.dumps(counts, ensure_ascii=False) + "\n")
    else:
        say(", ".join(f"{name}: {value}" for name, value in counts.items() if isinstance(value, int)))
        for reason, count in counts["reasons"].items():
            say(f"  {reason}: {count}")
    return PARTLY if read.report.refused else OK


def _written(read: "RegisterFile", settings: "MatcherSettings", told: "Told") -> bool:
    """Imports; asks first where more would be erased than may be without a word. False: nobody said yes."""
    from services.matcher.register.publish import TooManyErased

    try:
        asyncio.run(import_file(read, settings, told=told, remember=True))
    except TooManyErased as error:
        say(str(error))
        if not can_ask() or not agreed("Erase them?"):
            return False
        asyncio.run(import_file(read, settings, told=replace(told, max_erased_share=None), remember=True))
    return True


async def import_file(
    read: "RegisterFile",
    settings: "MatcherSettings",
    clock: "Clock | None" = None,
    *,
    told: "Told | None" = None,
    remember: bool = False,
) -> "Report":
    """Publishes a checked file; also what the demo calls. `remember` keeps the fingerprints of contacts."""
    from services.matcher.register.publish import Told, publish
    from services.matcher.register.state import ContactState
    from services.runtime.broker import Broker
    from services.runtime.clock import SystemClock

    broker = Broker(settings.kafka, service="register")
    await broker.connect()
    try:
        return await publish(
            read,
            broker,
            settings.kafka,
            settings.installation.seal(),
            clock or SystemClock(),
            told=told or Told(),
            state=ContactState(settings.matcher.import_state_file if remember else None),
            key=settings.installation.key_or_demo(),
        )
    finally:
        await broker.stop()


def _compared(read: "RegisterFile", settings: "MatcherSettings", told: "Told") -> bool:
    """Fills in what an import would do, where the topics can be read with the installation's own key."""
    from services.matcher.register.publish import TooManyErased, counted, plan, read_current
    from services.runtime.errors import Fault, Transient

    read.report.register_version = read.companies.version()
    if settings.installation.recipient_key is None or not _answers(settings.kafka.bootstrap):
        return False
    try:
        current = asyncio.run(read_current(settings.kafka, read.companies))
    except (Fault, Transient):
        return False
    try:
        made = plan(read, current, told)
    except TooManyErased as error:
        say(str(error))
        made = plan(read, current, replace(told, max_erased_share=None))
    counted(read.report, made)
    return True


def _answers(bootstrap: tuple[str, ...]) -> bool:
    """Whether anybody listens there: a dry run does not wait for a broker that is not."""
    for address in bootstrap:
        host, _, port = address.rpartition(":")
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout=BROKER_PATIENCE_S):
                return True
        except (OSError, ValueError):
            continue
    return False


def _say_refused(report: "Report", file: str) -> None:
    for line in report.said(file)[:SHOWN]:
        say(line)
    if report.refused > SHOWN:
        say(f"... and {report.refused - SHOWN} more refused")
