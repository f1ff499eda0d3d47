"""The files of a backtest, read: models, register, cases; and both runs."""

from collections.abc import Sequence
from pathlib import Path

from services.matcher.backtest.comparison import Comparison
from services.matcher.backtest.runs import case_files, run
from services.matcher.commands import progress
from services.matcher.dialogue.working_days import local_day
from services.matcher.register import formats, reading
from services.matcher.register.checks import Rules
from services.matcher.register.progress import rows_progress
from services.matcher.settings import MatcherSettings
from services.matcher.workplaces import Snapshot, snapshot
from services.runtime.clock import SystemClock
from services.runtime.errors import Fault
from services.runtime.installation import ModelSettings
from services.runtime.settings import load


def compare(
    cases: Path, register_file: Path, model_files: Sequence[Path], asked: reading.Asked
) -> tuple[Comparison, Snapshot, int]:
    """The comparison, the register, and how many of its rows were refused. Raises `Fault` where a file cannot be
    read.
    """
    settings = load(MatcherSettings)
    models = [ModelSettings(file=file).load() for file in model_files]
    files = case_files(cases)
    key, limits = settings.installation.key_or_demo(), settings.matcher.limits()
    try:
        with rows_progress("register") as on_rows:
            read = reading.read(register_file, Rules(key, anywhere=limits.outside), asked, on_rows)
    except formats.Unreadable as error:
        raise Fault(str(error)) from None
    register = snapshot(read.companies.values())
    today = local_day(SystemClock().now())
    names = _names(model_files)
    runs = []
    for name, model in zip(names, models, strict=True):
        with progress(f"cases, {name}") as step:
            runs.append(run(files, register, model, today, name=name, key=key, limits=limits, on_case=step))
    shown: dict[str, str] = {}
    for company in read.companies.values():
        shown.setdefault(company.recipient_id, company.name)
    a, b = runs
    return Comparison(a, b, register.recipient_ids, shown), register, read.report.refused


def _names(files: Sequence[Path]) -> list[str]:
    """What the models are called: their files' names; with their folders where these are alike."""
    stems = [file.stem for file in files]
    return stems if len(set(stems)) == len(stems) else [str(file) for file in files]
