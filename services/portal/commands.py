"""`nardialog case`: what case systems and officials do from a shell. Data on stdout, prose on stderr.

Each returns its exit code: 0 ok, 1 failed, 2 usage, 3 check not met, 5 broker unreachable, 6 partly done. Nothing of a
confidential case is shown, and no complaint quotes what it is about.
"""

import asyncio
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import App, Parameter

from services.runtime.terminal import NOT_MET, OK, PARTLY, agreed, can_ask, failed, printable, say, show, usage

if TYPE_CHECKING:  # help must not wait for pydantic and Kafka's client
    from schemas.case import Case
    from schemas.case_rules import Verdict
    from schemas.model import DialogueModel
    from schemas.round import Round
    from services.portal.case_desk import Desk
    from services.portal.case_files import Piece
    from services.portal.case_orders import Standing
    from services.portal.case_settings import CaseSettings

case = App(name="case", help="Cases: check them, send them in, import, withdraw and release them.")

Json = Annotated[bool, Parameter(name="--json", negative="")]
Flag = Annotated[bool, Parameter(negative="")]
File = Annotated[str, Parameter(name="FILE", allow_leading_hyphen=True)]
ROUND_COLUMNS: Final = (
    "case", "stage", "occurrence", "purpose", "state", "reason", "invitations", "workplaces", "set_hash", "round",
)  # fmt: skip


@case.command
def validate(file: File, /, *files: Annotated[str, Parameter(allow_leading_hyphen=True)], json_: Json = False) -> int:
    """Check case files offline: JSON Lines, an array, or one JSON object. Exit 3 if something is wrong.

    Parameters
    ----------
    file
        A case file, or - for standard input; any number of them.
    json_
        One JSON object a case: file, line, case, errors.
    """
    settings = settings_now()
    refused = 0
    for piece, verdict in judged([file, *files], settings.model.load(), anywhere=settings.matcher.allow_outside_sweden):
        refused += verdict.case is None
        if json_:
            print(json.dumps(_told(piece, verdict), ensure_ascii=False))
        else:
            complain(piece, verdict, to_stdout=True)
    return NOT_MET if refused else OK


@case.command
def submit(file: File, /, *, dry_run: Flag = False, wait: Flag = False, json_: Json = False) -> int:
    """Send cases in. Prints the key of each once the broker has it. Exit 6 if some were refused.

    A case that is known in this version is not sent again; another content of the same version, and a lower version,
    are refused. What ends a case holds its unfinished rounds first.

    Parameters
    ----------
    file
        A case file: JSON Lines, an array, or one JSON object; - for standard input.
    dry_run
        Check everything, also against what is known, and send nothing.
    wait
        Say on stderr how far each case has come, until all its messages are sent or ended; exit 3 if a round waits for
        somebody.
    json_
        One JSON object a case: file, line, case, outcome, errors.
    """
    if wait and dry_run:
        return usage("--wait: nothing is sent by --dry-run")
    return asyncio.run(_submit(file, settings_now(), dry_run=dry_run, wait=wait, as_json=json_))


async def _submit(file: str, settings: "CaseSettings", *, dry_run: bool, wait: bool, as_json: bool) -> int:
    from schemas.applicant import keyed
    from services.portal.case_desk import Desk
    from services.portal.case_orders import Standing, content_hash, standing, submission

    refused, taken = 0, []
    read = judged([file], settings.model.load(), anywhere=settings.matcher.allow_outside_sweden)
    key = settings.installation.key_or_demo if dry_run else settings.installation.key
    async with Desk(settings) as desk:
        for piece, verdict in read:
            if (given := verdict.case) is None:
                refused += 1
                _outcome(piece, verdict, "refused", as_json)
                continue
            given = keyed(given, key)
            known = desk.book.cases.get(given.key)
            what = standing(given, known.version if known else 0, content_hash(known) if known else "")
            if what in (Standing.CONFLICT, Standing.STALE):
                refused += 1
                _outcome(piece, _refused(given, known, what), "refused", as_json, given)
                continue
            if what is Standing.NEW:
                if not dry_run:
                    rounds = desk.book.of_case(given.key)
                    await desk.publish(submission(given, known, rounds, settings.kafka, desk.now()))
                desk.book.cases[given.key] = given
            _outcome(piece, verdict, "known" if what is Standing.KNOWN else "checked" if dry_run else "sent", as_json)
            taken.append(given)
        held = await _followed(taken, desk, settings) if wait else False
    return PARTLY if refused else NOT_MET if held else OK


async def _followed(cases: "list[Case]", desk: "Desk", settings: "CaseSettings") -> bool:
    """Says how far each case has come until nothing of it is under way; whether a round waits for somebody."""
    from schemas.case import CaseState
    from schemas.topics import DELIVERIES
    from services.portal.case_waiting import LOOK_SECONDS, Course, Fates, course
    from services.runtime.tables import TableReader

    newest = {case.key: case for case in cases if case.state is CaseState.OPEN}
    fates, told = Fates(newest.values()), dict.fromkeys(newest, Course(""))
    reader = TableReader(settings.kafka, [settings.kafka.topic(DELIVERIES)], fates.apply)
    await reader.start()
    try:
        while not all(now.ended for now in told.values()):
            await desk.look()
            await reader.caught_up()
            for key in (key for key, before in told.items() if not before.ended):
                now = course(newest[key], desk.book.rounds, fates.by_round)
                if now != told[key]:
                    say(f"{key}: {now.said}")
                    told[key] = now
            if not all(now.ended for now in told.values()):
                await asyncio.sleep(LOOK_SECONDS)
    finally:
        await reader.stop()
    return any(now.held for now in told.values())


@case.command
def withdraw(case_: Annotated[str, Parameter(name="CASE")], /, *, yes: Flag = False) -> int:
    """Withdraw a case: nothing more of it leaves, and its rounds end.

    Parameters
    ----------
    case_
        The case's key, municipality/source/case id, or its id where only one case has it.
    yes
        Do not ask. Needed without a terminal.
    """
    return asyncio.run(_withdraw(case_, settings_now(), yes=yes))


async def _withdraw(asked: str, settings: "CaseSettings", *, yes: bool) -> int:
    from schemas.applicant import keyed
    from schemas.case import CaseState
    from services.portal.case_desk import Desk
    from services.portal.case_orders import UNFINISHED, submission, withdrawn

    async with Desk(settings) as desk:
        key = desk.book.key_of(asked)
        known = desk.book.cases.get(key)
        if known is None:
            return failed(f"{key}: the case itself is no longer kept; its rounds have ended or end by themselves")
        if known.state is CaseState.WITHDRAWN:
            say(f"{key} is withdrawn already, by version {known.version}")
            return OK
        unfinished = [item for item in desk.book.of_case(key) if item.state in UNFINISHED]
        show_rounds(unfinished)
        if (refused := permitted(f"Withdraw {key}, and hold {len(unfinished)} round(s)?", yes)) is not None:
            return refused
        ends = keyed(withdrawn(known), settings.installation.key)
        await desk.publish(submission(ends, known, desk.book.of_case(key), settings.kafka, desk.now()))
        say(f"{key} is withdrawn by version {ends.version}; {len(unfinished)} round(s) held. Tell its case system.")
    return OK


@case.command(name="list")
def list_(*, held: Flag = False, owed: Flag = False, json_: Json = False) -> int:
    """The rounds of all cases: state, reason, how many they are for.

    Parameters
    ----------
    held
        Only those that wait for something: a release, a register.
    owed
        Only those whose members have not been told what came of it: by when, and who owes it.
    json_
        One JSON object a round.
    """
    return asyncio.run(_list(settings_now(), held=held, owed=owed, as_json=json_))


async def _list(settings: "CaseSettings", *, held: bool, owed: bool, as_json: bool) -> int:
    from schemas.round import RoundState
    from services.portal.case_desk import Desk
    from services.portal.case_topics import in_order
    from services.portal.owed import COLUMNS, owing, row

    async with Desk(settings) as desk:
        if owed:
            show(COLUMNS, [row(item, desk.now()) for item in owing(desk.book.rounds.values())], as_json=as_json)
            return OK
        found = in_order(desk.book.rounds.values())
        show_rounds([item for item in found if not held or item.state is RoundState.HELD], as_json)
    return OK


def settings_now() -> "CaseSettings":
    from services.portal.case_settings import CaseSettings
    from services.runtime.settings import load

    return load(CaseSettings)


def judged(files: Sequence[str], model: "DialogueModel", *, anywhere: bool) -> "list[tuple[Piece, Verdict]]":
    """Each case of these files, and what is wrong with it."""
    from schemas.case_rules import judge
    from services.portal.case_files import pieces

    return [(piece, judge(piece.value, model, anywhere=anywhere)) for file in files for piece in pieces(file)]


def _refused(given: "Case", known: "Case | None", what: "Standing") -> "Verdict":
    from schemas.case_rules import Verdict
    from services.portal.case_orders import refusal

    return Verdict(None, (refusal(what, given.version, known.version if known else 0),))


def _told(piece: "Piece", verdict: "Verdict", given: "Case | None" = None) -> dict[str, object]:
    known = verdict.case or given
    return {
        "file": piece.file,
        "line": piece.line,
        "case": known.key if known else None,
        "errors": [{"pointer": c.pointer, "code": c.code, "detail": c.detail} for c in verdict.complaints],
    }


def complain(piece: "Piece", verdict: "Verdict", *, to_stdout: bool = False) -> None:
    """What is wrong with a case, a line each."""
    for item in verdict.complaints:
        line = f"{piece}: {item.pointer or '/'}: {item.code}: {item.detail}"
        print(printable(line)) if to_stdout else say(line)


def _outcome(piece: "Piece", verdict: "Verdict", outcome: str, as_json: bool, given: "Case | None" = None) -> None:
    if as_json:
        print(json.dumps({**_told(piece, verdict, given), "outcome": outcome}, ensure_ascii=False))
        return
    complain(piece, verdict)
    if verdict.case is not None:
        show(("case", "version", "outcome"), [(verdict.case.key, verdict.case.version, outcome)])


def show_rounds(rounds: "Sequence[Round]", as_json: bool = False) -> None:
    rows = [
        (
            item.case_key, item.stage, item.occurrence, item.purpose.value, item.state.value, item.reason,
            item.counts.invitations, item.counts.workplaces, item.set_hash, item.round_id,
        )
        for item in rounds
    ]  # fmt: skip
    show(ROUND_COLUMNS, rows, as_json=as_json)


def permitted(question: str, yes: bool) -> int | None:
    """None where it may be done, else the exit code."""
    if yes:
        return None
    if not can_ask():
        return usage(f"nobody to ask: {question} Add --yes to do it")
    return None if agreed(question) else failed("nothing was changed")
