"""When a round may open: the setting, the guards, and the last word of an official."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from schemas import model as dialogue_model
from schemas.case import Case
from schemas.company import Company
from schemas.dialogue import Decision, Dialogue
from schemas.identity import DEMO_RECIPIENT_KEY, recipient_id, round_id
from schemas.round import Round, RoundState
from schemas.types import Basis
from services.matcher.release import Decided, Policy, policy_for
from services.matcher.rounds import derive
from services.matcher.settings import MatcherSettings
from services.matcher.workplaces import Snapshot, snapshot
from services.runtime.errors import Fault
from services.runtime.settings import load
from tests.matcher_cases import content

MODEL = dialogue_model.default()
DAY = date(2026, 11, 25)
AT = datetime(2026, 11, 25, 9, tzinfo=UTC)
ROUND = str(round_id("0162/prov/A", "projektering", 1, "ask"))


def register(count: int) -> Snapshot:
    return snapshot(
        Company(
            municipality="0162",
            workplace_id=f"W{i}",
            recipient_id=recipient_id(f"W{i}", DEMO_RECIPIENT_KEY),
            name="Namn",
            lon=18.03,
            lat=59.4,
        )
        for i in range(count)
    )


def run(decided: Decided, rows: Snapshot | None = None, **changes: Any) -> Round:
    case = Case.model_validate(content() | changes)
    return derive(
        case, rows or register(1), MODEL, DAY, Basis(case_version=1), key=DEMO_RECIPIENT_KEY, decided=decided
    ).round


HASH = run(Decided()).set_hash
OTHER = "0" * 32


def decisions(*kinds: str, set_hash: str | None = HASH, **more: Any) -> Dialogue:
    made = [
        Decision.model_validate(
            {"number": n, "kind": kind, "round_id": ROUND, "at": AT, "by": "ops", "set_hash": set_hash} | more
        )
        for n, kind in enumerate(kinds, 1)
    ]
    return Dialogue(municipality="0162", source="prov", case_id="A", decisions=made)


@pytest.mark.parametrize(
    ("decided", "reason"),
    [
        (Decided(), None),
        (Decided(policy="review"), "review"),
        (Decided(edited=True), "edited"),
        (Decided(edited=True, policy="review"), "edited"),
        (Decided(decisions("release"), "review"), None),
        (Decided(decisions("release"), "review", edited=True), None),
        (Decided(decisions("release", set_hash=OTHER), "review"), "set_changed"),
        (Decided(decisions("release", set_hash=None), "review"), "set_changed"),
        (Decided(decisions("release", set_hash=OTHER), edited=True), "set_changed"),
        (Decided(decisions("release", set_hash=OTHER)), None),
        (Decided(decisions("undo")), "undone"),
        (Decided(decisions("release", "undo"), "review"), "undone"),
        (Decided(decisions("undo", "release")), None),
        (Decided(decisions("undo", "release", set_hash=OTHER)), "set_changed"),
        (Decided(decisions("undo", round_id="0" * 32)), None),
        (Decided(decisions("release", "shown")), None),
        (Decided(decisions("undo", "shown")), "undone"),
    ],
)
def test_a_round_opens_when_nothing_asks_for_a_look_or_the_very_set_was_released(
    decided: Decided, reason: str | None
) -> None:
    found = run(decided)
    assert found.reason == reason
    assert found.state is (RoundState.HELD if reason else RoundState.OPEN)
    assert (found.set_hash, found.counts.invitations) == (HASH, 1)


def test_a_release_passes_the_guards_but_not_a_missing_register() -> None:
    many = register(50)
    held = run(Decided(), many)
    assert held.reason == "too_many"
    released = Decided(decisions("release", set_hash=held.set_hash))
    assert run(released, many).state is RoundState.OPEN
    case = Case.model_validate(content())
    none = derive(case, None, MODEL, DAY, Basis(case_version=1), key=DEMO_RECIPIENT_KEY, decided=released)
    assert none.round.reason == "no_register"


def test_an_edited_case_also_says_what_its_guard_says() -> None:
    assert "50 of 50" in run(Decided(edited=True), register(50)).detail


def test_the_set_is_the_recipients_with_their_workplaces_and_nothing_else() -> None:
    assert run(Decided(), title="Rättad titel").set_hash == HASH
    assert run(Decided(), register(2)).set_hash != HASH


def test_a_release_says_when_it_may_be_sent_at_the_earliest() -> None:
    later = AT + timedelta(days=2)
    assert run(Decided(decisions("release", send_at=later))).not_before == later
    assert run(Decided(decisions("release"))).not_before is None


@pytest.mark.parametrize(
    ("source", "case_type", "policy"),
    [("a", "gatuarbete", "auto"), ("a", "taxa", "review"), ("b", "taxa", "auto"), ("c", "taxa", "review")],
)
def test_the_most_specific_setting_decides(source: str, case_type: str, policy: Policy) -> None:
    settings: dict[str, Policy] = {"*": "review", "a/*": "review", "a/gatuarbete": "auto", "b/*": "auto"}
    assert policy_for(source, case_type, settings) == policy
    assert policy_for(source, case_type, {"*/taxa": "review"}) == ("review" if case_type == "taxa" else "auto")
    assert policy_for(source, case_type, {}) == "auto"


def test_the_setting_is_json_and_a_misspelt_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NARDIALOG_MATCHER__RELEASE", '{"*": "auto", "exempel/*": "review"}')
    assert load(MatcherSettings).matcher.release == {"*": "auto", "exempel/*": "review"}
    for wrong in ('{"*": "always"}', '{"exempel": "auto"}', '{"exempel/gata*": "auto"}'):
        monkeypatch.setenv("NARDIALOG_MATCHER__RELEASE", wrong)
        with pytest.raises(Fault):
            load(MatcherSettings)
