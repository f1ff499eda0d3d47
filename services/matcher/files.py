"""The matcher on files, without a broker: what `nardialog match` computes.

The lines come in the order of the case file, one invitation each. Of several versions of a case the later wins; a
version that comes after a higher one is ignored and counted, unless it opens a stage of its own. A round's day is the
case's `stage_opened`, so that past years can be replayed; without it, today.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

from shapely.errors import GEOSException

from schemas.case import Case, CaseState
from schemas.dialogue import Dialogue
from schemas.invitation import Invitation
from schemas.model import DialogueModel
from schemas.round import Round, RoundState
from schemas.subscription import Following, Subscription
from schemas.types import Basis
from services.matcher.audience import ROLES, model_rings
from services.matcher.case_formats.items import Draft, Item, Refusal, Skipped, Unreadable
from services.matcher.case_formats.reading import Told, items
from services.matcher.dialogue.working_days import at
from services.matcher.door import read
from services.matcher.holds import Limits
from services.matcher.meant import one_of
from services.matcher.release import Decided
from services.matcher.rounds import Derivation, derive
from services.matcher.subscriptions import NOBODY, Subscribers, columns, complaint
from services.matcher.workplaces import Snapshot
from services.runtime.errors import Fault, Permanent, Rejected
from services.runtime.json_texts import split
from services.runtime.parsing import validate

LINE: Final = (
    "invitation_id", "revision", "state", "round_id", "case_id", "stage", "occurrence", "purpose", "recipient_id",
    "organisation", "forms", "respond_by", "expires_at", "model_version", "register_version", "workplaces",
    "more_workplaces",
)  # fmt: skip


@dataclass(frozen=True)
class RefusedLine:
    """A piece of a file that no case could be read from: its line, or what its format counts."""

    place: int | str
    error: Rejected

    def __str__(self) -> str:
        place = f"line {self.place}" if isinstance(self.place, int) else self.place
        return f"{place}: {self.error.pointer or '/'}: {self.error.reason}: {self.error.detail}"


@dataclass
class Read:
    """The subscriptions of a file."""

    subscribers: Subscribers = NOBODY
    refused: list[RefusedLine] = field(default_factory=list)


@dataclass
class Decisions:
    """What officials decided, by case key."""

    dialogues: dict[str, Dialogue] = field(default_factory=dict)
    refused: list[RefusedLine] = field(default_factory=list)


@dataclass
class Result:
    """What a case file led to."""

    rounds: dict[str, Round] = field(default_factory=dict)
    invitations: dict[str, tuple[Invitation, ...]] = field(default_factory=dict)
    refused: list[RefusedLine] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What is right and yet may be a slip."""
    stale: int = 0
    skipped: int = 0
    cases: int = 0

    @property
    def held(self) -> list[Round]:
        """Rounds that wait for a person."""
        return [item for item in self.rounds.values() if item.state is RoundState.HELD]

    @property
    def states(self) -> Counter[str]:
        """Rounds by state and reason."""
        return Counter(
            f"{item.state.value}: {item.reason}" if item.reason else item.state.value for item in self.rounds.values()
        )

    def write_rounds(self, path: Path) -> None:
        """The rounds as JSON Lines, each as its event would say it."""
        lines = (item.model_dump_json(exclude_none=True) + "\n" for item in self.rounds.values())
        path.write_text("".join(lines), encoding="utf-8")

    def lines(self) -> Iterator[str]:
        """The invitations as JSON Lines."""
        for invitations in self.invitations.values():
            for invitation in invitations:
                yield as_line(invitation)


def as_line(invitation: Invitation) -> str:
    """One invitation as one line of JSON, its fields in the documented order."""
    content: dict[str, Any] = invitation.model_dump(mode="json", exclude_none=True)
    return json.dumps({name: content[name] for name in LINE if name in content}, ensure_ascii=False)


def match(
    cases: Path,
    register: Snapshot,
    model: DialogueModel,
    today: date,
    *,
    key: bytes,
    limits: Limits | None,
    anywhere: bool = False,
    told: Told = Told(),  # noqa: B008 - frozen
    on_case: Callable[[], object] = lambda: None,
    subscribers: Subscribers = NOBODY,
    dialogues: Mapping[str, Dialogue] = {},
) -> Result:
    """Matches every case of a file. Raises `Fault` where the file cannot be read."""
    result, newer = Result(), dict[str, Case]()
    for item in _items(cases, told, model, today):
        on_case()
        if isinstance(item, Skipped):
            result.skipped += 1
            continue
        try:
            case = _case(item, model, anywhere=anywhere)
        except Rejected as error:
            result.refused.append(RefusedLine(item.place, error))
            continue
        result.cases += 1
        newest = newer.get(case.key)
        try:
            derived = derived_of(
                case, register, model, today, key=key, limits=limits, subscribers=subscribers,
                dialogue=dialogues.get(case.key),
            )  # fmt: skip
            if (
                newest is not None
                and newest.version >= case.version
                and not _opens(result, derived.round, newest, today)
            ):
                result.stale += 1
                continue
            if note := _note(case, derived, model):
                result.notes.append(f"case {case.case_id} {note}")
            result.rounds[derived.round.round_id] = derived.round
            result.invitations[derived.round.round_id] = derived.invitations
            if newest is None or newest.version < case.version:
                newer[case.key] = case
        except (ValueError, ArithmeticError, GEOSException) as error:
            refusal = Rejected("not_matched", f"could not be matched ({type(error).__name__}); report it")
            result.refused.append(RefusedLine(item.place, refusal))
    return result


def _items(path: Path, told: Told, model: DialogueModel, today: date) -> Iterator[Item]:
    try:
        return items(_data(path), told, model, today)
    except Unreadable as error:
        raise Fault(f"{path.name}: {error}") from None


def _case(item: Draft | Refusal, model: DialogueModel, *, anywhere: bool) -> Case:
    if isinstance(item, Refusal):
        raise Rejected(item.complaints[0].code, item.complaints[0].detail, item.complaints[0].pointer)
    case = read(item.value, model, anywhere=anywhere)
    return case.model_copy(update={"version": item.numbered}) if item.numbered else case


def case_of(
    path: Path,
    asked: str,
    model: DialogueModel,
    today: date,
    *,
    anywhere: bool,
    told: Told,
    stage: str | None = None,
) -> Case:
    """The highest version of one case of a file, or of those in a stage, by its key or an id that only one has. Raises
    `Permanent`.
    """
    found: dict[str, Case] = {}
    for item in _items(path, told, model, today):
        try:
            case = None if isinstance(item, Skipped) else _case(item, model, anywhere=anywhere)
        except Rejected:
            continue
        if case is None or stage not in (None, case.stage):
            continue
        if case.key not in found or found[case.key].version < case.version:
            found[case.key] = case
    if stage is not None and not found:
        raise Permanent(f"{path.name}: no case is in the stage {stage}")
    return found[one_of(asked, found)]


def subscriptions(path: Path) -> Read:
    """The subscriptions of a file, one event a line as on the topic: areas, and who follows a case. The later of two
    lines of one subscription counts. Raises `Fault` where the file cannot be read.
    """
    rows: dict[str, Subscription] = {}
    followings: dict[str, Following] = {}
    refused = []
    for number, value in lines(path):
        try:
            if b'"case_key"' in value:
                following = validate(value, Following, extra="forbid")
                followings[following.subscription_id] = following
                continue
            row = validate(value, Subscription, extra="forbid")
            if wrong := complaint(row):
                raise Rejected(wrong.code, wrong.detail, wrong.pointer)
            rows[row.subscription_id] = row
        except Rejected as error:
            refused.append(RefusedLine(number, error))
    return Read(columns(rows.values(), followings=followings.values()), refused)


def dialogues(path: Path) -> Decisions:
    """The decisions of a file, all those on a case a line; of two lines on one case the later numbers count. Raises
    `Fault` where the file cannot be read.
    """
    found = Decisions()
    for number, value in split(_data(path)):
        try:
            dialogue = validate(value, Dialogue, extra="forbid")
        except Rejected as error:
            found.refused.append(RefusedLine(number, error))
            continue
        known = found.dialogues.get(dialogue.key)
        if known is None or known.number <= dialogue.number:
            found.dialogues[dialogue.key] = dialogue
    return found


def derived_of(
    case: Case,
    register: Snapshot,
    model: DialogueModel,
    today: date,
    *,
    key: bytes,
    limits: Limits | None,
    subscribers: Subscribers = NOBODY,
    dialogue: Dialogue | None = None,
) -> Derivation:
    """What one case of a file leads to, with what was decided on it."""
    decided = Decided(dialogue)
    basis = Basis(case_version=case.version, decision=decided.number, import_number=register.import_number)
    day = _opening(case, today, limits)
    return derive(case, register, model, day, basis, key=key, limits=limits, decided=decided, subscribers=subscribers)


def _opening(case: Case, today: date, limits: Limits | None) -> date:
    """The day on which a case's round opens: its stage's first. One that nobody means is left to the guard of dates."""
    opened = case.stage_opened or today
    return today if limits and opened > today + timedelta(days=limits.horizon_days) else opened


def _note(case: Case, derived: Derivation, model: DialogueModel) -> str:
    """Why an open round reaches nobody, or fewer than it would."""
    if derived.round.state is not RoundState.OPEN:
        return ""
    rings = () if case.reach is not None else model_rings(case, model)
    if not case.industries and any(ring.industries == "from_case" for ring in rings):
        return "names no industries, and its stage asks for those that the case names: add industries"
    if derived.invitations:
        return ""
    measured = [ROLES[ring.geometry] for ring in rings if ring.geometry in ROLES]
    if case.geometries and measured and not any(place.role in roles for roles in measured for place in case.geometries):
        return "reaches nobody: no ring of its stage is measured from geometries of its roles; correct role"
    left_out = ", ".join(f"{count} {reason}" for reason, count in derived.round.counts.excluded.items())
    return f"reaches nobody{f' (left out: {left_out})' if left_out else ''}"


def _opens(result: Result, opened: Round, newest: Case, today: date) -> bool:
    """Whether a version that comes after a later one opens a stage that is not known yet, and that had not expired when
    the later one came.
    """
    known = {(item.case_key, item.stage, item.occurrence) for item in result.rounds.values()}
    ahead = opened.expires_at is not None and opened.expires_at > at(newest.stage_opened or today)
    under_way = opened.state in (RoundState.OPEN, RoundState.HELD) and newest.state is CaseState.OPEN
    return under_way and ahead and (opened.case_key, opened.stage, opened.occurrence) not in known


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a file that hold something, with their numbers. Raises `Fault` where it cannot be read."""
    return split(_data(path))


def _data(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Fault(f"{path.name}: {error.strerror or 'cannot be read'}; check the path") from None
