"""The rules of dialogue that no table of the model can show, as far as the matcher answers for them.

Tested where they live: that an answer opens a subscription to its case, and who is found by it
(`test_matcher_who.py`, `test_portal_subscribe.py`); that what comes after a message to the same address is merged
(`test_addressing.py`); that a message says that it is information, or that one click is no formal comment
(`test_rendering_mail.py`); that who is over budget hears in the digest only (`test_digests.py`,
`test_notifier_burden.py`).
"""

from datetime import date
from typing import Any

import pytest

from schemas import model as dialogue_model
from schemas.case import Case
from schemas.company import Company
from schemas.identity import DEMO_RECIPIENT_KEY, recipient_id, round_id
from schemas.round import Purpose, RoundState
from schemas.subscription import EXAMPLE as SUBSCRIPTION
from schemas.subscription import Subscription
from schemas.types import Basis
from services.matcher.dialogue.plan import plan
from services.matcher.rounds import Derivation, derive
from services.matcher.subscriptions import columns
from services.matcher.workplaces import snapshot
from tests.matcher_cases import content

MODEL = dialogue_model.default()
DAY = date(2026, 9, 7)
HERE = [{"role": "site", "geometry": {"type": "Point", "coordinates": [18.03, 59.4]}}]


def case(**changes: Any) -> Case:
    return Case.model_validate(content(geometries=HERE) | changes)


def company(name: str, *codes: str, lon: float = 18.03) -> Company:
    sni = [{"code": code, "version": "2025"} for code in codes]
    return Company.model_validate(
        {
            "municipality": "0162", "workplace_id": name, "recipient_id": recipient_id(name, DEMO_RECIPIENT_KEY),
            "name": name, "lon": lon, "lat": 59.4, "sni": sni,
        }
    )  # fmt: skip


def run(item: Case, *companies: Company, subscriptions: tuple[Subscription, ...] = ()) -> Derivation:
    return derive(
        item, snapshot(companies), MODEL, DAY, Basis(case_version=1, import_number=1), key=DEMO_RECIPIENT_KEY,
        subscribers=columns(subscriptions, 1),
    )  # fmt: skip


def invited(derived: Derivation) -> set[str]:
    return {place.workplace_id for invitation in derived.invitations for place in invitation.workplaces}


def everywhere(case_type: str, stage: str, *codes: str) -> Case:
    industries = [{"code": code, "version": "2025"} for code in codes]
    return case(case_type=case_type, stage=stage, area="municipality", geometries=[], industries=industries)


def test_where_nothing_can_be_influenced_a_round_informs_and_asks_nothing() -> None:
    derived = run(case(influence="inform", question="När tar ni emot varor?"), company("W1", "56110"))
    said = derived.round
    assert said.plan is not None
    assert (said.purpose, said.plan.asks, said.plan.influence) == (Purpose.INFORM, False, "inform")
    assert (said.texts.question, said.respond_by, said.remind_at) == ("", None, None)
    assert invited(derived) == {"W1"}


def test_a_stage_that_comes_again_is_another_round_with_invitations_of_its_own() -> None:
    """FC-021, PBL 5:25."""
    once, again = run(case(), company("W1")), run(case(occurrence=2), company("W1"))
    assert once.round.round_id != again.round.round_id
    assert once.invitations[0].invitation_id != again.invitations[0].invitation_id


@pytest.mark.parametrize(
    ("case_type", "stage"),
    [("upphandling", "anbudstid"), ("upphandling", "utvardering"), ("tillsyn", "enskild_kontroll")],
)
def test_a_silent_stage_tells_nobody_not_even_who_asked_to_hear_of_everything(case_type: str, stage: str) -> None:
    wish = Subscription.model_validate(
        {
            **SUBSCRIPTION,
            "municipality": "0162",
            "area": {"kind": "municipality", "label": "Danderyd"},
            "industries": [],
        }
    )
    speaking = run(case(case_type=case_type, stage="annons" if case_type == "upphandling" else "kampanj",
                        area="municipality", geometries=[]), subscriptions=(wish,))  # fmt: skip
    assert speaking.invitations, "the subscription does reach a stage that speaks"
    derived = run(everywhere(case_type, stage, "56"), company("W1", "56110"), subscriptions=(wish,))
    assert derived.round.state is RoundState.SILENT
    assert derived.invitations == ()


def test_no_elected_has_a_part_where_a_single_partys_matter_is_decided_whatever_the_model_says() -> None:
    """RF 12:2. Guidelines, charges and plans are where they belong."""
    roles = {of: plan(case(case_type=of[0], stage=of[1]), MODEL, DAY).plan.elected for of in _STAGES}
    assert roles[("bygglov", "grannhorande")] == roles[("serveringstillstand", "ansokan")] == "none"
    assert roles[("offentlig_plats", "beslut")] == roles[("tillsyn", "enskild_kontroll")] == "none"
    assert roles[("serveringstillstand", "riktlinjer")] == "attends"
    assert roles[("offentlig_plats", "regler")] == "may_attend"
    careless = MODEL.model_copy(
        update={
            "case_types": [
                t.model_copy(update={"stages": [s.model_copy(update={"elected": "attends"}) for s in t.stages]})
                for t in MODEL.case_types
            ]
        }
    )
    asked = plan(case(case_type="bygglov", stage="grannhorande"), careless, DAY)
    assert asked.plan.elected == "none"


_STAGES = [(case_type.id, stage.id) for case_type in MODEL.case_types for stage in case_type.stages]


def test_the_innermost_ring_comes_first_and_the_reasons_of_all_rings_are_told() -> None:
    derived = run(case(), company("nära", "56110", lon=18.0302), company("längre", "56110", lon=18.0318))
    rings = {
        place.workplace_id: [reason.ring for reason in place.reasons]
        for invitation in derived.invitations
        for place in invitation.workplaces
    }
    assert rings == {"nära": ["direct", "near", "near"], "längre": ["near", "near"]}


def test_what_a_right_hangs_on_and_what_cuts_somebody_off_stand_outside_the_budget() -> None:
    exempt = {of for of in _STAGES if plan(case(case_type=of[0], stage=of[1]), MODEL, DAY).plan.exempt}
    assert exempt == {
        ("detaljplan", "granskning"),
        ("gatuarbete", "pagar"), ("va_arbete", "akut"), ("avfall", "storning"), ("offentlig_plats", "andring"),
    }  # fmt: skip
    assert plan(case(urgent=True, urgent_reason="Vattnet stängs av"), MODEL, DAY).plan.exempt


def test_a_ring_that_is_only_for_the_digest_sends_nothing_by_itself() -> None:
    derived = run(everywhere("policy_strategi", "beslut"), company("W1", "56110"))
    [invitation] = derived.invitations
    [place] = invitation.workplaces
    assert {reason.delivery for reason in place.reasons} == {"digest"}


def test_a_stage_that_a_right_hangs_on_is_marked_so_that_every_message_says_what_it_does_not_replace() -> None:
    statutory = {of for of in _STAGES if plan(case(case_type=of[0], stage=of[1]), MODEL, DAY).plan.statutory}
    assert statutory == {("detaljplan", "granskning")}


def test_feedback_is_a_round_of_its_own_and_every_round_that_asks_owes_it_by_a_stated_rule() -> None:
    item = case()
    ids = {round_id(item.key, item.stage, 1, purpose.value) for purpose in (Purpose.ASK, Purpose.FEEDBACK)}
    assert len(ids) == 2
    for case_type, stage in _STAGES:
        made = plan(case(case_type=case_type, stage=stage), MODEL, DAY)
        assert not made.plan.asks or (made.plan.feedback_days and made.plan.feedback_after)


@pytest.mark.parametrize(
    "of", [t for t in _STAGES if any(ring.geometry == "municipality" for ring in MODEL.stage(*t).rings)]  # type: ignore[union-attr]
)  # fmt: skip
def test_an_organisation_of_businesses_hears_of_every_round_of_the_whole_municipality_once(of: tuple[str, str]) -> None:
    derived = run(everywhere(*of, "56"), company("föreningen", "94111"), company("frisören", "96210"))
    assert "föreningen" in invited(derived)
    (theirs,) = [i for i in derived.invitations if i.workplaces[0].workplace_id == "föreningen"]
    told = [(reason.kind, reason.ring) for reason in theirs.workplaces[0].reasons]
    assert len(told) == len(set(told))


def test_an_organisation_of_businesses_far_from_a_case_with_a_place_hears_nothing_of_it() -> None:
    assert invited(run(case(), company("föreningen", "94111", lon=18.06), company("W1", "56110"))) == {"W1"}
