"""What an official orders about a case's rounds: which round is meant, why it cannot be, and what follows from it.

Pure, and the same at every door: a shell shows the round and asks first, a case system names the set that it looked at.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pydantic import ValidationError

from schemas.dialogue import ADD, CORRECT, FEEDBACK, RELEASE, REMIND, REMOVE, UNDO, UNLIST, Dialogue
from schemas.round import Outcome, Purpose, Round, RoundState
from services.portal import case_orders
from services.portal.case_orders import MATCHED, TOLD, UNDER_WAY, UNFINISHED, Steps
from services.runtime.errors import Permanent
from services.runtime.settings import KafkaSettings


class Refused(Permanent):
    """An order that cannot be carried out as things are. `code` is stable; `words` says that the order itself must be
    written otherwise.
    """

    def __init__(self, code: str, detail: str, *, words: bool = False) -> None:
        super().__init__(detail)
        self.code = code
        self.words = words


@dataclass(frozen=True)
class Order:
    """What is ordered. `kind` is a decision's; the round is named where the case has several that may be meant."""

    kind: str
    by: str
    round_id: str | None = None
    reason: str = ""
    set_hash: str | None = None
    """Of a release: the set that was looked at. None: the one that is known now."""
    workplaces: tuple[str, ...] = ()
    outcome: Outcome | None = None
    text: str = ""
    text_en: str = ""


@dataclass(frozen=True)
class Matter:
    """What is known of the case that an order is about. `version` is 0 where the case itself is no longer kept."""

    key: str
    rounds: Sequence[Round]
    so_far: Dialogue | None
    version: int

    @property
    def words(self) -> str:
        """Its rounds, for whoever named one that is not there."""
        return ", ".join(f"{item.stage}: {item.state.value}" for item in self.rounds) or "none"


@dataclass(frozen=True)
class Prepared:
    """An order that can be carried out: the round it is about, what somebody is asked first, and what it becomes."""

    round: Round
    question: str
    """Empty: nothing is sent or held for it, so nobody is asked."""
    decided: Dialogue
    steps: Steps
    done: str


@dataclass(frozen=True)
class _Kind:
    """One kind of order: which rounds it may be about, in words too, and what stands against it."""

    states: Collection[RoundState]
    said: str
    question: str
    done: str
    purposes: Collection[Purpose] = frozenset(Purpose)
    only_if_named: Purpose | None = None
    against: Callable[[Order, Round, Matter, datetime], Refused | None] = lambda *_: None


def prepared(order: Order, about: Matter, kafka: KafkaSettings, now: datetime) -> Prepared:
    """What follows from an order. Raises `Refused`."""
    kind = _KINDS[order.kind]
    found = _one_round(order, kind, about)
    if (refused := kind.against(order, found, about, now)) is not None:
        raise refused
    try:
        decided = _decided(order, found, about.so_far, now)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = "".join(f"{part}: " for part in first["loc"][-1:])
        raise Refused("unfit_words", f"{where}{first['msg']}", words=True) from None
    steps = case_orders.release(decided, kafka, now)
    if order.kind == UNDO:
        steps = case_orders.undo(decided, found, about.version, kafka, now)
    words = {"recipients": found.counts.invitations, "places": found.counts.workplaces}
    listed = f"{order.kind} {', '.join(order.workplaces)}"
    question, done = kind.question.format(**words), f"{about.key}: {kind.done or listed}"
    return Prepared(found, question, decided, steps, done)


def _one_round(order: Order, kind: _Kind, about: Matter) -> Round:
    found = [
        item
        for item in about.rounds
        if item.state in kind.states
        and item.purpose in kind.purposes
        and (item.round_id == order.round_id if order.round_id else item.purpose is not kind.only_if_named)
    ]
    if not found:
        raise Refused("no_such_round", f"{about.key} has no such round that is {kind.said}; its rounds: {about.words}")
    if len(found) > 1:
        ids = ", ".join(f"{item.round_id} ({item.stage}, {item.purpose.value})" for item in found)
        raise Refused(
            "several_rounds", f"{about.key} has {len(found)} rounds that are {kind.said}: say --round and one of {ids}"
        )
    return found[0]


def _decided(order: Order, found: Round, so_far: Dialogue | None, now: datetime) -> Dialogue:
    by, reason = order.by, order.reason
    match order.kind:
        case "release":
            return case_orders.released(found, so_far, now, by=by, reason=reason)
        case "undo":
            return case_orders.undone(found, so_far, now, by=by, reason=reason)
        case "remind":
            return case_orders.reminded(found, so_far, now, by=by, reason=reason)
        case "feedback":
            return case_orders.fed_back(found, so_far, now, by=by, outcome=order.outcome or Outcome())
        case "correct":
            return case_orders.corrected(found, so_far, now, by=by, text=order.text, text_en=order.text_en)
    places = list(dict.fromkeys(order.workplaces))
    return case_orders.listed(order.kind, found, so_far, now, by=by, reason=reason, workplaces=places)


def _against_release(order: Order, found: Round, about: Matter, _: datetime) -> Refused | None:
    if found.reason == "no_register" or found.set_hash is None:
        return Refused(
            "nobody_matched",
            f"{about.key}: nobody is matched yet ({found.reason}), so there is nothing to release: "
            "run `nardialog companies import`, then look again",
        )
    if order.set_hash not in (None, found.set_hash):
        return Refused("set_changed", f"{about.key}: those whom it is for have changed; look again, then release it")
    return None


def _against_reminder(_: Order, found: Round, about: Matter, now: datetime) -> Refused | None:
    if found.respond_by is None or (found.expires_at is not None and found.expires_at <= now):
        return Refused("closed", f"{about.key}: nobody can answer any more, so there is nothing to remind of")
    if found.remind_at is not None and found.remind_at <= now:
        return Refused(
            "reminded", f"{about.key}: was reminded of on {found.remind_at:%Y-%m-%d}; nobody is reminded twice"
        )
    return None


def _against_feedback(_: Order, found: Round, about: Matter, __: datetime) -> Refused | None:
    given = [item for item in about.rounds if item.purpose is Purpose.FEEDBACK and item.follows == found.round_id]
    told = len(about.so_far.on(FEEDBACK, found.round_id)) if about.so_far else 0
    if told <= sum(item.state is RoundState.HELD for item in given):
        return None
    ids = ", ".join(item.round_id for item in given) or "which the matcher has not made yet"
    return Refused(
        "told",
        f"{about.key}: was told already by round {ids}; "
        "take it back with `case undo --round`, or correct it with `case correct --round`",
    )


_LISTED: Final = _Kind(UNFINISHED, "not finished", "", "", purposes=MATCHED)
_KINDS: Final = {
    RELEASE: _Kind(
        {RoundState.HELD}, "held", "Release it to {recipients} recipient(s) at {places} workplace(s)?", "released",
        against=_against_release,
    ),
    UNDO: _Kind(
        UNDER_WAY, "open", "Hold it back? What has left of {recipients} invitation(s) stays sent.",
        "nothing more leaves until it is released again", only_if_named=Purpose.CHANGE,
    ),
    REMIND: _Kind(
        {RoundState.OPEN}, "open and asks", "Remind those of {recipients} recipient(s) who have not answered?",
        "those who have not answered are reminded", purposes={Purpose.ASK}, against=_against_reminder,
    ),
    FEEDBACK: _Kind(
        TOLD, "open or closed and asked", "Tell {recipients} recipient(s) what came of it?",
        "those who were asked are told what came of it", purposes={Purpose.ASK}, against=_against_feedback,
    ),
    CORRECT: _Kind(
        TOLD, "open or closed", "Tell those of {recipients} recipient(s) whom its message reached?",
        "those who got the message are told what was wrong in it", purposes={*MATCHED, Purpose.FEEDBACK},
    ),
    ADD: _LISTED,
    REMOVE: _LISTED,
    UNLIST: _LISTED,
}  # fmt: skip
