"""What is said about a case, as records to publish: it is submitted, withdrawn, released, undone, reported back on.

Undo and withdrawal are first written where the sender looks, as a suppression of the whole round, and only then on the
topics that the matcher reads: what has not left does not leave, whatever the matcher is doing. Such a suppression holds
every state of the round that was derived from its basis or a lower one. An undo's reaches to its own decision's number,
so that the round which the next release opens, whose basis has a higher one, is not held; a withdrawal's reaches below
the version that withdraws.
"""

from collections.abc import Iterable
from datetime import datetime
from enum import Enum
from typing import Final, Literal

from schemas.applicant import is_person
from schemas.case import CASE_CHANGED, Case, CaseState
from schemas.complaints import Complaint
from schemas.dialogue import CORRECT, DIALOGUE_CHANGED, FEEDBACK, RELEASE, REMIND, UNDO, Decision, Dialogue
from schemas.identity import derived, round_id
from schemas.round import Outcome, Purpose, Round, RoundState
from schemas.suppression import SUPPRESSION_CHANGED, Suppression
from schemas.topics import CASES, DIALOGUES, SUPPRESSIONS
from schemas.types import Basis
from services.runtime.parsing import outgoing
from services.runtime.records import Outgoing
from services.runtime.settings import KafkaSettings

SOURCE: Final = "/nardialog/portal"
HIGHEST: Final = 2_000_000_000
UNDER_WAY: Final = frozenset({RoundState.MATCHING, RoundState.OPEN})
UNFINISHED: Final = UNDER_WAY | {RoundState.HELD}
TOLD: Final = frozenset({RoundState.OPEN, RoundState.CLOSED})
"""States of a round that sent messages which still hold."""
MATCHED: Final = frozenset({Purpose.ASK, Purpose.INFORM})
"""Purposes of rounds whose members the rings decide; the others follow a round."""


class Standing(Enum):
    """What a submitted case is to the one that is known."""

    NEW = "new"
    KNOWN = "known"
    CONFLICT = "conflict"
    """The same version says something else."""
    STALE = "stale"
    """A higher version is known."""


Steps = tuple[tuple[Outgoing, ...], ...]
"""Groups of records: each is acknowledged before the next is sent."""


def content_hash(case: Case) -> str:
    """Two equal hashes are the same state of the same case, however it was written."""
    return derived("content", case.model_dump_json(exclude_defaults=True))  # a later field changes nothing


def event_id(case: Case) -> str:
    """The same state of the same case is the same event, however often it is sent."""
    return derived("case", case.key, str(case.version), content_hash(case))


def standing(case: Case, known_version: int, known_hash: str) -> Standing:
    """What a case is to the known version of it (0 where none is)."""
    if case.version > known_version:
        return Standing.NEW
    if case.version < known_version:
        return Standing.STALE
    return Standing.KNOWN if content_hash(case) == known_hash else Standing.CONFLICT


def refusal(what: Standing, given: int, known: int) -> Complaint:
    """Why a case that keeps the rules is not taken all the same."""
    if what is Standing.STALE:
        return Complaint("stale_version", f"version {known} is known; send a higher version than that", "/version")
    return Complaint(
        "version_conflict", f"version {given} is known with other content; send the change as a new version", "/version"
    )


def submission(case: Case, before: Case | None, rounds: Iterable[Round], kafka: KafkaSettings, now: datetime) -> Steps:
    """A case's new state; where it ends the case, its unfinished rounds are held first. `before` is its known state.
    Raises `ValueError` for an applicant that is a person's number.
    """
    if is_person(case):
        raise ValueError("a personal number may not stand on the topic: see schemas.applicant.keyed")
    endangered = _endangered(case, before, tuple(rounds)) if case.state is not CaseState.OPEN else ()
    basis = Basis(case_version=case.version)
    held = [_hold(id_, case, case.key, "withdrawn", basis, "", kafka, now) for id_ in endangered]
    record = outgoing(kafka.topic(CASES), case.key, case, type=CASE_CHANGED, id=event_id(case), source=SOURCE, time=now)
    return (tuple(held), (record,))


def _endangered(case: Case, before: Case | None, rounds: tuple[Round, ...]) -> list[str]:
    """The rounds that may still send: those that are not finished, and those that the matcher may be about to open.
    When a case is closed, what came of the answers is told all the same.
    """
    told = Purpose.FEEDBACK if case.state is CaseState.CLOSED else None
    unfinished = [item.round_id for item in rounds if item.state in UNFINISHED and item.purpose is not told]
    known = {item.round_id for item in rounds}
    coming = {
        round_id(case.key, state.stage, state.occurrence, purpose.value): None
        for state in (before or case, case)
        for purpose in (Purpose.ASK, Purpose.INFORM)
    }
    return [*unfinished, *(id_ for id_ in coming if id_ not in known)]


def withdrawn(case: Case) -> Case:
    """The next version of a case, which withdraws it."""
    return case.model_copy(update={"version": case.version + 1, "state": CaseState.WITHDRAWN})


def released(round_: Round, so_far: Dialogue | None, now: datetime, *, by: str, reason: str) -> Dialogue:
    """The decisions with one more: the round may be sent, to exactly the set that was looked at."""
    return _decided(RELEASE, round_, so_far, now, by, reason, set_hash=round_.set_hash)


def undone(round_: Round, so_far: Dialogue | None, now: datetime, *, by: str, reason: str) -> Dialogue:
    """The decisions with one more: the round goes back to *held*."""
    return _decided(UNDO, round_, so_far, now, by, reason)


def listed(
    kind: str, round_: Round, so_far: Dialogue | None, now: datetime, *, by: str, reason: str, workplaces: list[str]
) -> Dialogue:
    """The decisions with one more: these workplaces are added to the round, removed, or left to the rings again."""
    return _decided(kind, round_, so_far, now, by, reason, workplaces=workplaces)


def reminded(round_: Round, so_far: Dialogue | None, now: datetime, *, by: str, reason: str) -> Dialogue:
    """The decisions with one more: those who have not answered are reminded now."""
    return _decided(REMIND, round_, so_far, now, by, reason)


def fed_back(round_: Round, so_far: Dialogue | None, now: datetime, *, by: str, outcome: Outcome) -> Dialogue:
    """The decisions with one more: those who were asked are told what came of it."""
    return _decided(FEEDBACK, round_, so_far, now, by, "", outcome=outcome)


def corrected(
    round_: Round, so_far: Dialogue | None, now: datetime, *, by: str, text: str, text_en: str = ""
) -> Dialogue:
    """The decisions with one more: those whom the round's message reached are told what was wrong in it."""
    return _decided(CORRECT, round_, so_far, now, by, "", correction=text, correction_en=text_en)


def release(decided: Dialogue, kafka: KafkaSettings, now: datetime) -> Steps:
    """A decision that holds nothing back, as records."""
    return ((_dialogue(decided, kafka, now),),)


def undo(decided: Dialogue, round_: Round, version: int, kafka: KafkaSettings, now: datetime) -> Steps:
    """An undo as records. `version` is the case's newest: what is derived from it meanwhile is held too."""
    reason = decided.decisions[-1].reason
    basis = Basis(
        case_version=max(version, round_.basis.case_version),
        decision=decided.number,
        import_number=HIGHEST,
        subscription=HIGHEST,
    )
    return (
        (_hold(round_.round_id, round_, round_.case_key, "undone", basis, reason, kafka, now),),
        (_dialogue(decided, kafka, now),),
    )


def stands(decided: Dialogue, newest: Dialogue | None) -> bool:
    """Whether a decision that was published is part of what stands: of two that were taken at once, one was lost."""
    return newest is not None and decided.decisions[-1] in newest.decisions


def _decided(
    kind: str, round_: Round, so_far: Dialogue | None, now: datetime, by: str, reason: str, **more: object
) -> Dialogue:
    decisions = list(so_far.decisions) if so_far else []
    decision = Decision.model_validate(
        {"number": len(decisions) + 1, "kind": kind, "round_id": round_.round_id, "at": now, "by": by, "reason": reason}
        | more
    )
    return Dialogue(
        municipality=round_.municipality,
        synthetic=round_.synthetic,
        case_id=round_.case_id,
        source=round_.source,
        decisions=[*decisions, decision],
    )


def _dialogue(decided: Dialogue, kafka: KafkaSettings, now: datetime) -> Outgoing:
    return outgoing(
        kafka.topic(DIALOGUES),
        decided.key,
        decided,
        type=DIALOGUE_CHANGED,
        id=derived("dialogue", decided.key, decided.model_dump_json()),
        source=SOURCE,
        time=now,
    )


def _hold(
    held: str,
    about: Case | Round,
    case_key: str,
    kind: Literal["undone", "withdrawn"],
    basis: Basis,
    reason: str,
    kafka: KafkaSettings,
    now: datetime,
) -> Outgoing:
    event = Suppression(
        municipality=about.municipality,
        synthetic=about.synthetic,
        suppression_id=derived("suppression", kind, held),
        kind=kind,
        scope="round",
        round_id=held,
        case_key=case_key,
        case_type=about.case_type,
        reason=reason,
        basis=basis,
        at=now,
    )
    return outgoing(
        kafka.topic(SUPPRESSIONS),
        event.suppression_id,
        event,
        type=SUPPRESSION_CHANGED,
        id=derived("event", event.model_dump_json()),
        source=SOURCE,
        time=now,
    )
