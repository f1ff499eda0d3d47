"""Who is invited beyond rings and subscriptions: participants, what officials add and remove, organisations."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from schemas import model as dialogue_model
from schemas.case import Case
from schemas.company import Company
from schemas.dialogue import Decision, Dialogue
from schemas.identity import DEMO_RECIPIENT_KEY, recipient_id
from schemas.subscription import CASE_FOLLOWED, Following, Subscription
from services.matcher.audience import Audience, audience
from services.matcher.subscriptions import columns
from services.matcher.tables.subscriptions import SubscriptionTable
from services.matcher.workplaces import snapshot
from services.runtime.parsing import outgoing
from services.runtime.records import Record
from tests.matcher_cases import content

MODEL = dialogue_model.default()
NOW = datetime(2026, 11, 25, 9, tzinfo=UTC)
ADOPTED: dict[str, Any] = {"case_type": "detaljplan", "stage": "antagande", "title": "Mörby centrum"}
"""A stage that tells participants, and nobody else."""
WIDE: dict[str, Any] = {"geometries": [], "area": "municipality"}


def company(name: str, *codes: str, **changes: Any) -> Company:
    made: dict[str, Any] = {
        "municipality": "0162", "workplace_id": name, "recipient_id": recipient_id(name, DEMO_RECIPIENT_KEY),
        "organisation": name, "name": name, "lon": 18.03, "lat": 59.4,
        "sni": [{"code": code, "version": "2025"} for code in codes],
    }  # fmt: skip
    return Company.model_validate(made | changes)


def follows(recipient: str, *workplaces: str, case_key: str = "0162/prov/A") -> Following:
    return Following(
        municipality="0162", subscription_id=f"f-{recipient[:8]}", recipient_id=recipient, case_key=case_key,
        round_id="r", stage="samrad", workplaces=list(workplaces), since=NOW,
    )  # fmt: skip


def subscribes(recipient: str) -> Subscription:
    return Subscription.model_validate(
        {
            "municipality": "0162", "subscription_id": "s1", "recipient_id": recipient, "confirmed_at": NOW,
            "area": {"kind": "circle", "label": "x", "circle": {"longitude": 18.1, "latitude": 59.0, "radius_m": 50}},
        }
    )  # fmt: skip


def run(
    *companies: Company, followings: tuple[Following, ...] = (), subscriptions: tuple[Subscription, ...] = (),
    decided: Mapping[str, Decision] | None = None, applicant: str | None = None, **changes: Any,
) -> Audience:  # fmt: skip
    return audience(
        Case.model_validate(content(**changes)), snapshot(companies), MODEL, applicant,
        columns(subscriptions, followings=followings), listed=decided or {},
    )  # fmt: skip


def kinds(found: Audience) -> dict[str, list[str]]:
    return {w.workplace_id: [r.kind for r in w.reasons] for member in found.members for w in member.workplaces}


def test_an_answer_opens_a_case_subscription_so_that_a_stage_that_asks_for_participants_finds_who_answered() -> None:
    a, b = company("A"), company("B")
    found = run(a, b, followings=(follows(a.recipient_id, "A"),), **ADOPTED)
    assert kinds(found) == {"A": ["participant"]}
    (reason,) = found.members[0].workplaces[0].reasons
    assert (reason.ring, reason.subscription_id) == ("participants", f"f-{a.recipient_id[:8]}")


def test_an_answer_on_another_case_or_a_stage_that_does_not_ask_for_participants_adds_nobody() -> None:
    a = company("A", lon=18.2)
    assert kinds(run(a, followings=(follows(a.recipient_id, "A", case_key="0162/prov/B"),), **ADOPTED)) == {}
    assert kinds(run(a, followings=(follows(a.recipient_id, "A"),))) == {}


def test_a_participant_that_closed_or_left_the_register_is_counted_and_not_told() -> None:
    closed, gone = company("A", status="closed"), company("B")
    found = run(closed, followings=(follows(closed.recipient_id, "A"), follows(gone.recipient_id, "B")), **ADOPTED)
    assert (kinds(found), found.excluded) == ({}, {"closed": 1, "unknown_workplace": 1})


def test_a_subscriber_who_answered_is_a_participant_while_it_follows_something() -> None:
    reader = "5" * 32
    told = run(followings=(follows(reader, "s1"),), subscriptions=(subscribes(reader),), **ADOPTED)
    assert kinds(told) == {"s1": ["participant"]}
    assert kinds(run(followings=(follows(reader, "s1"),), **ADOPTED)) == {}


@pytest.mark.anyio
async def test_an_answer_is_known_to_the_table_and_only_one_on_a_case_that_asks_now_is_looked_at_again() -> None:
    table = SubscriptionTable(lambda key: key == "0162/prov/A")
    before = table.changes

    async def read(offset: int, item: Following, value: bool = True) -> None:
        sent = outgoing("subscriptions", item.subscription_id, item, type=CASE_FOLLOWED, id="1", source="t", time=NOW)
        headers = tuple((name, text.encode()) for name, text in sent.headers.items())
        key = item.subscription_id.encode()
        await table.apply([Record("subscriptions", 0, offset, key, sent.value if value else None, headers, 0)])

    other = follows("2" * 32, "B", case_key="0162/prov/B")
    await read(0, follows("1" * 32, "A"))
    await read(1, other)
    assert {key: len(found) for key, found in table.snapshot().followers.items()} == {
        "0162/prov/A": 1,
        "0162/prov/B": 1,
    }
    assert (table.changes - before, table.snapshot().position) == (1, 2)
    await read(2, other, value=False)
    assert table.snapshot().followers["0162/prov/B"] == ()


def decision(kind: str, *workplaces: str, number: int = 1) -> dict[str, Any]:
    return {
        "number": number, "kind": kind, "round_id": "r1", "at": NOW, "by": "näringslivskontoret",
        "reason": "hyr av sökanden", "workplaces": list(workplaces),
    }  # fmt: skip


def listed(*decisions: dict[str, Any]) -> Mapping[str, Decision]:
    numbered = [item | {"number": number} for number, item in enumerate(decisions, 1)]
    made = {"municipality": "0162", "case_id": "A", "source": "prov", "decisions": numbered}
    return Dialogue.model_validate(made).listed("r1")


def test_whom_an_official_adds_is_invited_with_who_added_it_and_why_beside_the_rings_own_reasons() -> None:
    found = run(company("near", "56110"), company("far", lon=18.2), decided=listed(decision("add", "far", "near")))
    assert kinds(found) == {"near": ["distance", "distance", "industry", "added"], "far": ["added"]}
    (reason,) = next(w.reasons for m in found.members for w in m.workplaces if w.workplace_id == "far")
    assert (reason.why, reason.by) == ("hyr av sökanden", "näringslivskontoret")


def test_whom_an_official_removes_is_not_invited_and_is_counted_and_the_case_may_name_it_all_it_likes() -> None:
    found = run(company("A"), company("B"), decided=listed(decision("remove", "A")), named=["A"])
    assert (list(kinds(found)), found.excluded) == (["B"], {"removed": 1})


def test_the_last_word_on_a_workplace_counts_until_it_is_taken_back() -> None:
    words = [decision("remove", "A"), decision("add", "A"), decision("unlist", "A")]
    assert [sorted(kinds(run(company("A"), decided=listed(*words[: n + 1])))) for n in range(3)] == [[], ["A"], ["A"]]
    assert "added" not in kinds(run(company("A"), decided=listed(*words)))["A"]


def test_an_official_cannot_add_what_is_closed_vacant_unknown_or_the_applicants_own() -> None:
    closed, vacant = company("A", status="closed"), company("B", status="vacant")
    own = company("C", lon=18.2)
    words = listed(decision("add", "A", "B", "C", "D"))
    found = run(closed, vacant, own, decided=words, applicant=own.recipient_id)
    expected = {"applicant": 1, "closed": 1, "unknown_workplace": 1, "vacant": 1}
    assert (kinds(found), found.excluded) == ({}, expected)


def test_a_decision_that_adds_or_removes_needs_workplaces_and_a_reason() -> None:
    without: tuple[dict[str, Any], ...] = ({"reason": ""}, {"workplaces": []})
    for broken in without:
        with pytest.raises(ValueError, match="needs workplaces and a reason"):
            Decision.model_validate(decision("add", "A") | broken)


WIDE_STAGES = [
    (case_type.id, stage.id)
    for case_type in MODEL.case_types
    for stage in case_type.stages
    if stage.influence != "none" and any(r.geometry in ("municipality", "subscription", "any") for r in stage.rings)
]


@pytest.mark.parametrize(("case_type", "stage"), WIDE_STAGES)
def test_a_company_organisation_gets_every_municipality_wide_round(case_type: str, stage: str) -> None:
    organisation = company("org", "94110", lon=None, lat=None)
    codes = [{"code": "56", "version": "2025"}]
    found = run(organisation, case_type=case_type, stage=stage, industries=codes, **WIDE)
    (member,) = found.members
    assert [reason.code for place in member.workplaces for reason in place.reasons if reason.code] == ["94110"]


def test_a_round_of_one_place_does_not_go_to_the_organisations_of_the_whole_municipality() -> None:
    assert kinds(run(company("org", "94110", lon=18.2), stage="byggstart")) == {}


def test_too_late_in_a_round_only_those_stay_who_are_there_and_whom_an_official_adds() -> None:
    a, b, c = company("A"), company("B"), company("C", lon=18.2)
    found = audience(
        Case.model_validate(content()), snapshot([a, b, c]), MODEL,
        listed=listed(decision("add", "C")), standing=frozenset({a.recipient_id}),
    )  # fmt: skip
    assert (sorted(kinds(found)), found.excluded) == (["A", "C"], {"late": 1})
