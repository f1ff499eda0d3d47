"""Past cases under a dialogue model: what each stage would have been, and whom it would have been for.

The engine is the matcher's own (`rounds.forecast`, the doors, the order of versions); here is only the loop. Nobody
subscribes and nobody has answered in a backtest, so stages that reach only these reach nobody. What the guards hold is
counted as if it had been released, and said.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
from shapely.errors import GEOSException

from schemas.case import Case, RoledGeometry
from schemas.model import DialogueModel
from schemas.round import RoundState
from services.matcher.door import read
from services.matcher.files import RefusedLine, lines
from services.matcher.grid import Booleans
from services.matcher.holds import Limits
from services.matcher.rounds import Forecast, forecast
from services.matcher.workplaces import Snapshot
from services.runtime.errors import Fault, Rejected

Key = tuple[str, str, int]
"""Case key, stage, occurrence."""


@dataclass(frozen=True)
class Outcome:
    """One round under one model. Recipients are numbers of the register's, each once, in order."""

    key: Key
    case_id: str
    title: str
    case_type: str
    day: date
    state: RoundState
    reason: str | None
    form: str
    minutes: int
    asks: bool
    respond_by: date | None
    recipients: npt.NDArray[np.int32]
    exempt: Booleans
    """Which of them stand outside the budget."""
    workplaces: npt.NDArray[np.int64]
    """Rows of the register."""
    geometries: tuple[RoledGeometry, ...] = ()

    @property
    def sends(self) -> bool:
        """Whether somebody hears of it; what waits is counted as if it had been released."""
        return self.state in (RoundState.OPEN, RoundState.HELD)


@dataclass
class Run:
    """A year under one model."""

    name: str
    model: DialogueModel
    outcomes: dict[Key, Outcome] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    stale: int = 0

    @property
    def sending(self) -> list[Outcome]:
        """The rounds that somebody hears of."""
        return [item for item in self.outcomes.values() if item.sends]


def case_files(folder: Path) -> list[Path]:
    """The case files in a folder, or the one that is named. Raises `Fault` where there is none."""
    found = [folder] if folder.is_file() else sorted([*folder.glob("*.jsonl"), *folder.glob("*.ndjson")])
    if not found:
        raise Fault(f"{folder}: no case file there; put files in it, JSON Lines with names that end in .jsonl")
    return found


def run(
    files: Iterable[Path],
    register: Snapshot,
    model: DialogueModel,
    today: date,
    *,
    name: str,
    key: bytes,
    limits: Limits,
    on_case: Callable[[], object] = lambda: None,
) -> Run:
    """Every case of the files under a model. A version that comes after a higher one is ignored and counted."""
    made, versions = Run(name, model), dict[str, int]()
    for where, value in _values(files):
        on_case()
        try:
            case = read(value, model, anywhere=limits.outside)
            if versions.get(case.key, 0) >= case.version:
                made.stale += 1
                continue
            versions[case.key] = case.version
            day = case.stage_opened or today
            outcome = _outcome(case, forecast(case, register, model, day, key=key, limits=limits), register, model, day)
            made.outcomes[outcome.key] = outcome
        except Rejected as error:
            made.refused.append(f"{where[0]}: {RefusedLine(where[1], error)}")
        except (ValueError, ArithmeticError, GEOSException) as error:
            made.refused.append(f"{where[0]}: line {where[1]}: not_matched: {type(error).__name__}; report it")
    return made


def _values(files: Iterable[Path]) -> Iterator[tuple[tuple[str, int], bytes]]:
    for path in files:
        for number, value in lines(path):
            yield (path.name, number), value


def _outcome(case: Case, found: Forecast, register: Snapshot, model: DialogueModel, day: date) -> Outcome:
    planned, rows = found.planned, found.reached.rows
    recipients, inverse = np.unique(register.recipient[rows], return_inverse=True)
    direct = np.zeros(len(recipients), dtype=np.bool_)
    direct[inverse[found.reached.direct]] = True
    return Outcome(
        key=(case.key, case.stage, case.occurrence),
        case_id=case.case_id,
        title=case.title,
        case_type=case.case_type,
        day=day,
        state=found.state,
        reason=found.reason,
        form=planned.plan.primary,
        minutes=planned.plan.minutes,
        asks=planned.plan.asks,
        respond_by=planned.respond_by,
        recipients=recipients.astype(np.int32),
        exempt=direct | planned.plan.exempt,
        workplaces=rows,
        geometries=tuple(case.geometries),
    )
