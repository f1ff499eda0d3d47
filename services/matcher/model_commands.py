"""`nardialog model`: is a dialogue model sound, what does it say, and what would another one have done.

Data on stdout, prose on stderr. Exit codes: 0 ok, 1 failed, 2 usage, 3 the check is not met, 6 partly done.
"""

import json as json_text
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

from cyclopts import App, Parameter

from services.runtime.terminal import NOT_MET, OK, PARTLY, failed, printable, say, usage
from services.runtime.terminal import show as show_rows

if TYPE_CHECKING:  # a command's help must not wait for pydantic
    from collections.abc import Iterable

    from pydantic import BaseModel

    from schemas.model import DialogueModel
    from services.matcher.backtest.comparison import Comparison
    from services.matcher.dialogue.findings import Finding
    from services.matcher.workplaces import Snapshot

model = App(name="model", help="The dialogue model: check it, read it, try another.")

Json = Annotated[bool, Parameter(name="--json", negative="")]
Flag = Annotated[bool, Parameter(negative="")]
FINDINGS: Final = ("severity", "code", "path", "what", "remedy")


@model.command
def check(file: Path, /, *, strict: Flag = False, json_: Json = False) -> int:
    """Find gaps and contradictions in a model. Exit 3 if it may not be used.

    Parameters
    ----------
    file
        The dialogue model, JSON.
    strict
        Warnings count too.
    json_
        One JSON object a finding: severity, code, path, what, remedy.
    """
    from services.matcher.dialogue.findings import SEVERITIES, passes
    from services.matcher.dialogue.model_check import check as find

    try:
        data = file.read_bytes()
    except OSError as error:
        return failed(f"{file}: {error.strerror}; check the path")
    found = find(data)
    if sys.stdout.isatty() and not json_:
        _show_findings(found)
    else:
        rows = [(item.severity, item.code, item.pointer or "/", item.what, item.remedy) for item in found]
        show_rows(FINDINGS, rows, as_json=json_)
    counts = {severity: sum(item.severity == severity for item in found) for severity in SEVERITIES}
    ok = passes(found, strict=strict)
    told = ", ".join(f"{count} {severity}{'' if count == 1 else 's'}" for severity, count in counts.items())
    say(f"{file.name}: {'may be used' if ok else 'may not be used'}: {told}")
    return OK if ok else NOT_MET


@model.command
def show(
    case_type: str | None = None,
    stage: str | None = None,
    /,
    *,
    model_file: Annotated[Path | None, Parameter(name="--model")] = None,
    json_: Json = False,
) -> int:
    """What the model says: its case types, the stages of one, or all of one stage.

    Parameters
    ----------
    case_type
        A case type, such as gatuarbete.
    stage
        One of its stages, such as projektering.
    model_file
        The dialogue model; without it, NARDIALOG_MODEL__FILE or the one that comes with the product.
    json_
        The same as JSON, as the model has it: one object a case type, one a stage, or the stage.
    """
    from services.matcher.dialogue import model_table

    loaded = _load(model_file)
    _say_what(loaded)
    if case_type is None:
        if json_:
            _print(loaded.case_types)
        else:
            show_rows(model_table.TYPE_COLUMNS, model_table.types(loaded))
        return OK
    found = loaded.case_type(case_type)
    if found is None:
        return usage(f"the model has no case type {case_type}; known: {', '.join(t.id for t in loaded.case_types)}")
    if stage is None:
        if json_:
            _print(found.stages)
        else:
            say(f"{found.sv} / {found.en}; * is the latest stage in which a first invitation is early enough")
            wide = not sys.stdout.isatty()
            columns = model_table.STAGE_COLUMNS if wide else model_table.SHORT_COLUMNS
            show_rows(columns, (model_table.stages if wide else model_table.short)(found))
        return OK
    one = loaded.stage(case_type, stage)
    if one is None:
        return usage(f"case type {case_type} has no stage {stage}; known: {', '.join(s.id for s in found.stages)}")
    if json_:
        _print([one])
    else:
        show_rows(model_table.FACT_COLUMNS, model_table.facts(found, one, loaded))
    return OK


@model.command
def backtest(
    *,
    cases: Path,
    register: Path,
    model_files: Annotated[list[Path], Parameter(name="--model", negative="")],
    register_mapping: str | None = None,
    crs: str | None = None,
    html: Path | None = None,
    by: Literal["stage", "quarter", "case", "company", "difference"] | None = None,
    top: int = 15,
    json_: Json = False,
) -> int:
    """Rerun past cases under two models: who gains, who is dropped, what it costs each company.

    On a terminal a table each of what differs, stages, quarters, cases and companies; elsewhere one of them,
    tab-separated. Exit 6 if some input was refused.

    Parameters
    ----------
    cases
        A folder of case files (JSON Lines, .jsonl), or one file. A round's day is the case's stage_opened.
    register
        The company register: a file that `nardialog companies import` takes.
    model_files
        The two models, today's first: give it twice.
    register_mapping
        A mapping file for other people's registers, or the name of one that is shipped.
    crs
        The register's coordinate system, such as EPSG:3006.
    html
        Write a page with pictures here, for those who decide.
    by
        Only this table; without a terminal, stage.
    top
        How many cases and companies the tables show; 0 shows all.
    json_
        Everything as one JSON object.
    """
    from services.matcher.backtest.report import summary
    from services.runtime.errors import Fault

    if len(model_files) != 2:
        return usage("give --model twice: today's model, and the one to compare it with")
    if top < 0:
        return usage("--top must be 0 or more")
    try:
        from services.matcher.backtest.command import compare
        from services.matcher.register.reading import Asked

        compared, columns, refused_rows = compare(cases, register, model_files, Asked(register_mapping, crs))
        if html is not None:
            _write_page(compared, columns, register.name, html)
    except Fault as error:
        return failed(str(error))
    if json_:
        print(json_text.dumps(compared.as_json(), ensure_ascii=False, default=str))
    else:
        _tell(compared, by, top)
    say(summary(compared))
    return PARTLY if refused_rows or compared.a.refused or compared.b.refused else OK


def _write_page(compared: "Comparison", register: "Snapshot", register_name: str, html: Path) -> None:
    from services.matcher.backtest.page import page

    html.write_text(page(compared, register, register_name), encoding="utf-8")
    say(f"{html} written")


def _tell(compared: "Comparison", by: str | None, top: int) -> None:
    """One table where another program reads; all of them for people."""
    from services.matcher.backtest.report import READABLE, TABLES, TITLES

    tables = READABLE if sys.stdout.isatty() else TABLES
    chosen = [by] if by else list(tables) if sys.stdout.isatty() else ["stage"]
    for name in chosen:
        columns, rows = tables[name](compared, top or None)
        if len(chosen) > 1:
            say(f"\n{TITLES[name]}")
        show_rows(columns, rows)


@model.command
def schema() -> int:
    """Print the JSON Schema of a model file."""
    from schemas.model import json_schema

    print(json_text.dumps(json_schema(), ensure_ascii=False, indent=2))
    return OK


def _print(parts: "Iterable[BaseModel]") -> None:
    for part in parts:
        print(json_text.dumps(part.model_dump(mode="json"), ensure_ascii=False))


def _show_findings(found: "Iterable[Finding]") -> None:
    """A finding is a sentence, its place and what to do: too much for a row of a terminal."""
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    console = Console(highlight=False)
    for item in found:
        head = Text.assemble((item.severity.upper(), _COLOURS[item.severity]), f" {item.code}: ", printable(item.what))
        console.print(head)
        console.print(Padding(Text(f"at {printable(item.pointer) or '/'}", style="dim"), (0, 0, 0, 4)))
        console.print(Padding(Text(f"→ {printable(item.remedy)}"), (0, 0, 1, 4)))


_COLOURS: Final = {"error": "bold red", "warning": "yellow", "note": "cyan"}


def _load(file: Path | None) -> "DialogueModel":
    from services.matcher.settings import MatcherSettings
    from services.runtime.installation import ModelSettings
    from services.runtime.settings import load

    return (load(MatcherSettings).model if file is None else ModelSettings(file=file)).load()


def _say_what(loaded: "DialogueModel") -> None:
    adopted = loaded.adopted
    by = f"adopted by {adopted.by}, {adopted.decision}, {adopted.date}" if adopted.by else "adopted by nobody"
    say(
        f"dialogue model {loaded.model_version} of municipality {loaded.municipality}: {loaded.status}, {by}; "
        f"kept {loaded.retention.replay_days} days for replays"
    )
