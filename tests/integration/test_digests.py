"""How much reaches one person: the budget, the digests, what merges and what passes them, on both databases."""

import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from schemas.delivery import DeliveryState
from schemas.identity import derived, invitation_id
from schemas.model import BurdenPolicy
from schemas.round import EXAMPLE as ROUND
from schemas.subscription import EXAMPLE as SUBSCRIPTION
from schemas.subscription import SUBSCRIPTION_CHANGED, Subscription
from services.notifier.channels.callbacks import Text
from services.notifier.channels.port import Outcome, State
from services.notifier.composing import cases_of
from services.notifier.ledger.addressing_turn import alone
from services.notifier.ledger.tables import MESSAGES
from services.notifier.outcomes.answers import Answers
from services.notifier.outcomes.passing_on import Ours
from services.notifier.policy.timing import Rules
from services.runtime.sealing import Vault
from tests.notifier_house import INDEX, MONDAY, VAULT, House
from tests.transitions import seen, unstated, watch

pytestmark = pytest.mark.anyio

RULES = Rules(BurdenPolicy(), "working_hours")
TUESDAY = datetime.fromisoformat("2025-11-11T08:00:00+01:00")
NEAR = {"kind": "industry", "ring": "near", "code": "56100", "heading": "56", "version": "2025"}
DIRECT = {"kind": "distance", "ring": "direct", "distance_m": 12.0, "buffer_m": 50.0}


@pytest.fixture
async def house(ledger_url: str) -> AsyncIterator[House]:
    made = House(ledger_url, RULES)
    watched = "sqlite" in ledger_url
    if watched:
        await watch(made.database)
    await made.company("w-r1", "r1")
    await made.contact("r1", "anna@exempel.test")
    yield made
    assert not watched or await unstated(made.database) == set()
    await made.database.close()


def plan(**changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {**ROUND["plan"], **changes}  # type: ignore[dict-item]
    return given


async def ask(
    house: House, name: str, *reasons: dict[str, Any], to: str = "r1", revision: int = 1, **changes: Any
) -> str:
    """A round that concerns one company for these reasons, opened an hour ago; returns the invitation."""
    given: dict[str, Any] = {"texts": {"title": name}, "plan": plan(), "case_key": f"0162/x/{name}", **changes}
    opened = house.clock.moment - timedelta(hours=1)
    await house.round(round_id=derived(name), opened_at=opened, **given)
    identity = invitation_id(derived(name), to)
    places = [{"workplace_id": f"w-{to}", "reasons": list(reasons) or [NEAR]}]
    dates = {key: given[key] for key in ("respond_by", "expires_at") if key in given}
    await house.invite(
        to,
        f"w-{to}",
        round_id=derived(name),
        invitation_id=identity,
        workplaces=places,
        revision=revision,
        case_key=given["case_key"],
        **dates,
    )
    return identity


async def subscribe(house: House, frequency: str, name: str = "s1") -> dict[str, Any]:
    """A subscription of the company, and the reason that it gives."""
    event = Subscription.model_validate({**SUBSCRIPTION, "subscription_id": name, "frequency": frequency})
    await house.feeder.apply([house.record("subscriptions", name, event, SUBSCRIPTION_CHANGED)])
    return {"kind": "subscription", "subscription_id": name, "area": name}


def titles(house: House) -> list[list[str]]:
    """What each mail that left was about."""
    said = [json.loads(mail.body) for mail in house.email.accepted]
    return [[item["title"] for item in mail.get("items", [mail])] for mail in said]


async def turn_at(house: House, moment: datetime) -> None:
    house.clock.moment = moment
    await house.sender.turn()


async def waiting(house: House) -> list[str]:
    """Why what has not left waits."""
    async with house.database.transaction() as connection:
        rows = await connection.execute(select(MESSAGES.c.waits).where(MESSAGES.c.state == "waiting"))
        return sorted(rows.scalars())


async def asked_enough(house: House) -> None:
    """Two questions, each on a day of its own: what the model allows in thirty days."""
    for day, name in enumerate(("first", "second")):
        house.clock.moment = MONDAY - timedelta(days=14 - 2 * day)
        await ask(house, name)
        await house.sender.turn()
    house.clock.moment = MONDAY
    house.email.accepted.clear()


async def test_every_change_of_a_state_is_watched_where_the_tests_hold_it_against_the_page(house: House) -> None:
    if "sqlite" not in house.url:
        pytest.skip("watched on SQLite")
    await ask(house, "one")
    await house.sender.turn()
    assert await seen(house.database) == {("waiting", "pending"), ("pending", "sending"), ("sending", "sent")}


@pytest.mark.parametrize("companies", [3, 40])
async def test_fc_049_fc_050_one_address_of_many_companies_has_one_message_and_one_intent(
    house: House, companies: int
) -> None:
    """FC-049, FC-050."""
    await house.round(counts={"invitations": companies})
    for number in range(companies):
        await house.reachable(f"c{number}", "info@kontorshotell.example")
    await house.sender.turn()
    [mail] = house.email.accepted
    assert len(json.loads(mail.body)["ids"]) == companies
    assert [row.state for row in await house.messages()] == ["sent"]
    assert house.states() == ["composed", "sent"]


async def test_who_was_asked_enough_hears_of_the_next_in_the_weekly_digest_as_information(house: House) -> None:
    await asked_enough(house)
    invitation = await ask(house, "third")
    await house.sender.turn()
    assert titles(house) == []
    waits = house.told()[-1]
    assert (waits.state, waits.code, waits.invitation_ids) == (DeliveryState.WAITING, "over_budget", [invitation])
    assert waits.detail == "until 2025-11-11T08:00+01:00"
    await turn_at(house, TUESDAY)
    assert titles(house) == [["third"]]
    sent = house.told()[-1]
    assert (sent.kind, sent.state, sent.round_ids) == ("digest", DeliveryState.SENT, [derived("third")])
    assert json.loads(house.email.accepted[0].body)["gathered"] == "budget"


async def test_an_answer_by_sms_to_a_digest_says_which_cases_it_may_mean(house: House) -> None:
    """It goes to the mailbox for all cases: nobody knows which official it is for."""
    await house.company("w-r2", "r2")
    await house.contact("r2", "+46701740605", "sms")
    followed = await subscribe(house, "weekly")
    for name in ("one", "two"):
        await ask(house, name, followed, to="r2", texts={"title": name, "diary_number": f"KS {name}"})
    await house.sender.turn()
    await turn_at(house, TUESDAY)
    [text] = house.sms.accepted
    assert len(json.loads(text.body)["items"]) == 2
    ours = Ours("Exempel kommun", "naringsliv@kommun.example", "svar@kommun.example", [])
    answers = Answers(house.database, house.outbox, Vault(VAULT), INDEX, house.clock, ours)
    assert await answers.take(Text("s1", "+46701740605", "Ja, vi påverkas")) == "passed_on"
    await house.sender.turn()
    [mail] = house.email.accepted
    assert mail.address == "svar@kommun.example"
    assert sorted(cases_of(json.loads(mail.body)["parameters"])) == [("one", "KS one"), ("two", "KS two")]


async def test_thirty_days_later_one_may_be_asked_again(house: House) -> None:
    await asked_enough(house)
    house.clock.moment = MONDAY + timedelta(days=18)  # 30 days after the first
    await ask(house, "third", respond_by="2026-01-15", expires_at="2026-01-16T00:00:00+01:00")
    await house.sender.turn()
    assert titles(house) == [["third"]]


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        (DIRECT, {}),
        (NEAR, {"plan": plan(exempt=True)}),
        (NEAR, {"plan": plan(urgent=True, exempt=True)}),
        (NEAR, {"plan": plan(statutory=True, exempt=True)}),
        (NEAR, {"purpose": "feedback", "plan": plan(asks=False)}),
    ],
)
async def test_the_exempt_kinds_are_sent_whatever_was_asked_before(
    house: House, reason: dict[str, Any], changes: dict[str, Any]
) -> None:
    await asked_enough(house)
    await ask(house, "third", reason, **changes)
    await house.sender.turn()
    assert titles(house) == [["third"]]


async def test_what_is_exempt_is_counted_before_what_is_not_when_both_come_at_once(house: House) -> None:
    house.clock.moment = MONDAY
    await ask(house, "one")
    await house.sender.turn()
    house.clock.moment = MONDAY + timedelta(days=2)
    calm, cut = sorted(("two", "three"), key=derived)
    await ask(house, calm)
    await ask(house, cut, plan=plan(exempt=True))
    await house.sender.turn()
    assert titles(house) == [["one"], [cut]]
    assert await waiting(house) == ["over_budget"]


async def test_a_company_is_not_asked_too_often_at_several_addresses(house: House) -> None:
    await asked_enough(house)
    await house.company("w-other", "r1")
    await house.contact("r1", "bo@exempel.test", workplace="w-other")
    other = [{"workplace_id": "w-other", "reasons": [NEAR]}]
    await house.round(round_id="third", opened_at=MONDAY - timedelta(hours=1), plan=plan())
    await house.invite("r1", "w-other", round_id="third", invitation_id="i3", workplaces=other)
    await house.sender.turn()
    assert titles(house) == []
    assert await waiting(house) == ["over_budget"]


async def test_minutes_are_counted_over_ninety_days(house: House) -> None:
    await ask(house, "long", plan=plan(minutes=80, asks=False))
    await house.sender.turn()
    house.clock.moment = MONDAY + timedelta(days=60)
    later: dict[str, Any] = {"respond_by": "2026-03-01", "expires_at": "2026-03-02T00:00:00+01:00"}
    await ask(house, "longer", plan=plan(minutes=20, asks=False), **later)
    await ask(house, "short", to="r1", plan=plan(minutes=10, asks=False), **later)
    await house.sender.turn()
    assert titles(house) == [["long"], ["short"]]
    assert await waiting(house) == ["over_budget"]


async def test_what_is_over_budget_and_would_come_too_late_comes_at_once_as_information(house: House) -> None:
    await asked_enough(house)
    await ask(house, "third", respond_by="2025-11-11", expires_at="2025-11-12T00:00:00+01:00")
    await house.sender.turn()
    assert titles(house) == [["third"]]
    assert house.told()[-1].kind == "digest"


async def test_a_weekly_subscriber_gets_one_message_a_week_with_all_that_came(house: House) -> None:
    reason = await subscribe(house, "weekly")
    await ask(house, "one", reason, respond_by="2025-12-09", expires_at="2025-12-10T00:00:00+01:00")
    await ask(house, "two", reason)
    await house.sender.turn()
    assert titles(house) == []
    await turn_at(house, TUESDAY)
    await turn_at(house, TUESDAY + timedelta(days=7))
    assert titles(house) == [["two", "one"]]  # sorted by last day, and sent once


async def test_a_daily_subscriber_hears_the_next_working_morning(house: House) -> None:
    reason = await subscribe(house, "daily")
    house.clock.moment = MONDAY + timedelta(days=4)
    await ask(house, "friday", reason)
    await house.sender.turn()
    await turn_at(house, MONDAY + timedelta(days=6))
    assert titles(house) == []
    await turn_at(house, datetime.fromisoformat("2025-11-17T08:00:00+01:00"))
    assert titles(house) == [["friday"]]
    assert json.loads(house.email.accepted[0].body)["gathered"] == "daily"


async def test_whom_a_case_concerns_otherwise_too_hears_at_once(house: House) -> None:
    await ask(house, "one", await subscribe(house, "weekly"), NEAR)
    await house.sender.turn()
    assert titles(house) == [["one"]]


async def test_a_ring_that_only_the_digest_carries_never_sends_on_its_own(house: House) -> None:
    await ask(house, "one", {"kind": "municipality", "ring": "everyone", "delivery": "digest"})
    await house.sender.turn()
    assert titles(house) == []
    assert await waiting(house) == ["digest_ring"]
    await turn_at(house, TUESDAY)
    assert titles(house) == [["one"]]
    assert json.loads(house.email.accepted[0].body)["gathered"] == "ring"


async def test_fc_054_a_digest_whose_cases_were_all_withdrawn_is_no_message(house: House) -> None:
    """FC-054."""
    reason = await subscribe(house, "weekly")
    await ask(house, "one", reason)
    await house.sender.turn()
    await house.round(round_id=derived("one"), state="withdrawn", plan=plan())
    await turn_at(house, TUESDAY)
    assert house.email.accepted == []
    assert [event.state for event in house.told()] == [DeliveryState.WAITING, DeliveryState.CANCELLED]


@pytest.mark.parametrize("why", ["revoked", "stopped", "closed"])
async def test_fc_054_nor_is_one_of_whose_matters_nothing_is_left_for_another_reason(house: House, why: str) -> None:
    """FC-054."""
    reason = await subscribe(house, "weekly")
    for name in ("one", "two"):
        identity = await ask(house, name, reason)
        await house.sender.turn()
        if why == "revoked":
            await house.invite(
                "r1", "w-r1", round_id=derived(name), invitation_id=identity, revision=2, state="revoked",
                case_key=f"0162/x/{name}",
            )  # fmt: skip
        if why == "closed":
            await house.round(round_id=derived(name), state="closed", plan=plan(), case_key=f"0162/x/{name}")
    if why == "stopped":
        await house.stop_all(message_number=(await house.messages())[0].number)
    await turn_at(house, TUESDAY)
    assert house.email.accepted == []


async def test_fc_055_a_case_that_two_subscriptions_meet_and_that_changed_twice_is_told_once_as_it_is_now(
    house: House,
) -> None:
    """FC-055."""
    a, b = await subscribe(house, "weekly", "a"), await subscribe(house, "weekly", "b")
    await ask(house, "one", a)
    await house.sender.turn()
    for version in (2, 3):
        basis = {"case_version": version, "decision": 0, "import_number": 1, "subscription": 0}
        await house.round(round_id=derived("one"), texts={"title": f"one, {version}"}, plan=plan(), basis=basis)
        await house.invite(
            "r1", "w-r1", round_id=derived("one"), invitation_id=invitation_id(derived("one"), "r1"), revision=version,
            basis=basis, case_key="0162/x/one", workplaces=[{"workplace_id": "w-r1", "reasons": [a, b]}],
        )  # fmt: skip
        await house.sender.turn()
    await turn_at(house, TUESDAY)
    assert titles(house) == [["one, 3"]]
    assert [state for state in house.states() if state != "waiting"] == ["composed", "sent"]


async def test_a_digest_shows_ten_and_counts_the_rest(house: House) -> None:
    reason = await subscribe(house, "weekly")
    for number in range(12):
        await ask(house, f"case {number:02}", reason)
    await house.sender.turn()
    await turn_at(house, TUESDAY)
    [mail] = house.email.accepted
    said = json.loads(mail.body)
    assert (len(said["items"]), said["more"]) == (10, 2)
    assert len(house.told()[-1].invitation_ids) == 12


async def test_a_digest_that_was_missed_is_made_once_when_the_notifier_is_back(house: House) -> None:
    reason = await subscribe(house, "weekly")
    await ask(house, "one", reason)
    await house.sender.turn()
    await turn_at(house, TUESDAY + timedelta(days=2))
    await turn_at(house, TUESDAY + timedelta(days=7))
    assert titles(house) == [["one"]]


async def test_what_was_withdrawn_since_is_left_off_the_digest_and_says_why(house: House) -> None:
    reason = await subscribe(house, "weekly")
    kept, gone = await ask(house, "kept", reason), await ask(house, "gone", reason)
    await house.sender.turn()

    async def withdrawn() -> None:
        await house.round(round_id=derived("gone"), state="withdrawn", plan=plan())

    house.tables.at[house.tables.looks + 3] = withdrawn  # after it was composed
    await turn_at(house, TUESDAY)
    await house.sender.turn()
    assert titles(house) == [["kept"]]
    ends = {event.state: event.invitation_ids for event in house.told()}
    assert ends[DeliveryState.SENT] == [kept]
    assert ends[DeliveryState.CANCELLED] == [gone]


async def test_a_round_that_an_official_undid_waits_for_another_digest(house: House) -> None:
    reason = await subscribe(house, "weekly")
    await ask(house, "undone", reason)
    await ask(house, "kept", reason)
    await house.sender.turn()
    basis = {"case_version": 1, "decision": 0, "import_number": 1, "subscription": 0}
    await house.stop_all(suppression_id="u", scope="round", kind="undone", round_id=derived("undone"), basis=basis)
    await turn_at(house, TUESDAY)
    assert titles(house) == [["kept"]]
    await house.stop_all(
        suppression_id="u", scope="round", kind="undone", round_id=derived("undone"), basis=basis, lifted=True,
        at=MONDAY + timedelta(hours=1),
    )  # fmt: skip
    await turn_at(house, TUESDAY + timedelta(days=1))
    assert titles(house) == [["kept"], ["undone"]]


async def test_who_left_the_register_while_a_digest_waited_is_left_off_it(house: House) -> None:
    await ask(house, "gone", {"kind": "municipality", "ring": "everyone", "delivery": "digest"})
    await house.company("w-r2", "r2")
    await house.contact("r2", "anna@exempel.test")
    await ask(house, "stays", {"kind": "municipality", "ring": "everyone", "delivery": "digest"}, to="r2")
    await house.sender.turn()
    await house.company("w-r1", "r1", status="closed")
    await turn_at(house, TUESDAY)
    assert titles(house) == [["stays"]]
    assert [event.code for event in house.told() if event.state is DeliveryState.CANCELLED] == ["left_register"]


async def test_a_stop_of_an_area_leaves_off_the_digest_what_is_on_it_for_that_area_alone(house: House) -> None:
    here, there = await subscribe(house, "weekly"), await subscribe(house, "weekly", "s2")
    await ask(house, "here", here)
    await ask(house, "both", here, there)
    await house.sender.turn()
    number = (await house.messages())[0].number
    await house.stop_all(message_number=number, scope="area", subscription_id="s1")
    await turn_at(house, TUESDAY)
    assert titles(house) == [["both"]]
    ended = {event.invitation_ids[0]: event.code for event in house.told() if event.state is DeliveryState.SUPPRESSED}
    assert ended == {invitation_id(derived("here"), "r1"): "stop"}


async def test_a_stop_of_one_case_leaves_it_off_the_digest(house: House) -> None:
    reason = await subscribe(house, "weekly")
    await ask(house, "stopped", reason)
    await ask(house, "kept", reason)
    await house.sender.turn()
    [row, *_] = await house.messages()
    index = {"address_index": row.address_index, "case_key": "0162/x/stopped"}
    await house.stop_all(scope="case", **index)
    await turn_at(house, TUESDAY)
    assert titles(house) == [["kept"]]
    assert DeliveryState.SUPPRESSED in house.states()


async def test_a_stop_of_everything_leaves_no_digest(house: House) -> None:
    reason = await subscribe(house, "weekly")
    await ask(house, "one", reason)
    await ask(house, "two", reason)
    await house.sender.turn()
    [row, *_] = await house.messages()
    await house.stop_all(address_index=row.address_index)
    await turn_at(house, TUESDAY)
    assert house.email.accepted == []
    assert house.states().count("suppressed") == 2


async def test_two_rounds_that_wait_for_the_morning_come_as_one_message(house: House) -> None:
    house.clock.moment = MONDAY.replace(hour=20)
    await ask(house, "one")
    await house.sender.turn()
    await ask(house, "two")
    await house.sender.turn()
    await turn_at(house, TUESDAY.replace(hour=7))
    assert titles(house) == [["one", "two"]] or titles(house) == [["two", "one"]]
    assert house.told()[-1].kind == "digest"


async def test_what_comes_within_a_day_of_a_message_waits_and_comes_alone_as_itself(house: House) -> None:
    await ask(house, "one")
    await house.sender.turn()
    await ask(house, "two")
    await house.sender.turn()
    assert titles(house) == [["one"]]
    assert await waiting(house) == ["merge_window"]
    await turn_at(house, MONDAY + timedelta(hours=23))
    assert titles(house) == [["one"]]
    await turn_at(house, MONDAY + timedelta(hours=24))
    assert titles(house) == [["one"], ["two"]]
    assert house.told()[-1].kind == "first"


async def asked_once_and_one_waits(house: House) -> None:
    """One question has left, and the next, for which there is a budget still, waits for the day after it."""
    await ask(house, "one")
    await house.sender.turn()
    await ask(house, "two")
    await house.sender.turn()
    assert await waiting(house) == ["merge_window"]


async def test_what_waits_is_one_too_many_when_something_exempt_asked_meanwhile_and_comes_as_information(
    house: House,
) -> None:
    house.clock.moment = MONDAY + timedelta(days=1)
    await asked_once_and_one_waits(house)
    await ask(house, "urgent", plan=plan(urgent=True, exempt=True))
    await house.sender.turn()
    assert titles(house) == [["one"], ["urgent"]]
    await turn_at(house, MONDAY + timedelta(days=3))
    assert titles(house) == [["one"], ["urgent"]]
    assert await waiting(house) == ["over_budget"]
    told = [(event.code, event.detail) for event in house.told() if event.state is DeliveryState.WAITING]
    assert [code for code, _ in told] == ["merge_window", "over_budget"]
    assert told[-1][1] == "until 2025-11-18T08:00+01:00"
    assert len({event.delivery_id for event in house.told()}) == len(house.told())
    await turn_at(house, TUESDAY + timedelta(days=7))
    assert titles(house) == [["one"], ["urgent"], ["two"]]
    assert house.told()[-1].kind == "digest"
    assert json.loads(house.email.accepted[-1].body)["gathered"] == "budget"


@pytest.mark.parametrize(
    ("reason", "changes"), [(DIRECT, {}), (NEAR, {"plan": plan(exempt=True)}), (NEAR, {"purpose": "feedback"})]
)
async def test_what_is_exempt_and_waits_for_its_day_leaves_on_it_whatever_was_asked_meanwhile(
    house: House, reason: dict[str, Any], changes: dict[str, Any]
) -> None:
    await ask(house, "one")
    await house.sender.turn()
    await ask(house, "two", reason, **changes)
    for name in ("urgent", "more"):
        await ask(house, name, plan=plan(urgent=True, exempt=True))
    await house.sender.turn()
    await turn_at(house, MONDAY + timedelta(days=1, hours=1))
    assert titles(house)[-1] == ["two"]
    assert house.told()[-1].kind == "first"


async def test_of_two_that_wait_together_what_is_exempt_is_counted_first_and_the_other_left_out(house: House) -> None:
    await asked_once_and_one_waits(house)
    await ask(house, "three", DIRECT, expires_at="2026-01-16T00:00:00+01:00", respond_by="2026-01-15")
    await house.sender.turn()
    await turn_at(house, MONDAY + timedelta(days=1, hours=1))
    assert titles(house) == [["one"], ["three"]]
    assert await waiting(house) == ["over_budget"]


async def test_what_became_one_too_many_on_its_last_day_leaves_at_once_as_information(house: House) -> None:
    house.clock.moment = MONDAY + timedelta(days=1)
    await ask(house, "one")
    await house.sender.turn()
    await ask(house, "two", respond_by="2025-11-13", expires_at="2025-11-14T00:00:00+01:00")
    await house.sender.turn()
    assert await waiting(house) == ["merge_window"]
    await ask(house, "urgent", plan=plan(urgent=True, exempt=True))
    await house.sender.turn()
    assert titles(house) == [["one"], ["urgent"]]
    await turn_at(house, MONDAY + timedelta(days=2, hours=1))
    assert titles(house)[-1] == ["two"]
    assert house.told()[-1].kind == "digest"
    assert json.loads(house.email.accepted[-1].body)["gathered"] == "budget"


async def test_a_company_asked_at_another_address_meanwhile_is_asked_no_more_by_what_waits(house: House) -> None:
    await asked_once_and_one_waits(house)
    await house.company("w-other", "r1")
    await house.contact("r1", "bo@exempel.test", workplace="w-other")
    other = [{"workplace_id": "w-other", "reasons": [DIRECT]}]
    await house.round(round_id="cut", opened_at=house.clock.moment - timedelta(hours=1), plan=plan())
    await house.invite("r1", "w-other", round_id="cut", invitation_id="i-cut", workplaces=other)
    await house.sender.turn()
    assert len(house.email.accepted) == 2
    await turn_at(house, MONDAY + timedelta(days=1, hours=1))
    assert len(house.email.accepted) == 2
    assert await waiting(house) == ["over_budget"]


@pytest.mark.parametrize(
    "changes",
    [
        {"plan": plan(urgent=True, exempt=True)},
        {"plan": plan(statutory=True, exempt=True)},
        {"respond_by": "2025-11-11", "expires_at": "2025-11-12T00:00:00+01:00"},
    ],
)
async def test_what_cannot_wait_passes_the_merge_window(house: House, changes: dict[str, Any]) -> None:
    await ask(house, "one")
    await house.sender.turn()
    await ask(house, "two", **changes)
    await house.sender.turn()
    assert titles(house) == [["one"], ["two"]]


async def test_what_is_urgent_passes_the_hold_and_leaves_first_and_never_a_stop(house: House) -> None:
    await house.company("w-r2", "r2")
    await house.contact("r2", "bo@exempel.test")
    house.clock.moment = MONDAY
    await ask(house, "calm", DIRECT, to="r2")
    await ask(house, "urgent", plan=plan(urgent=True, exempt=True))
    await house.round(
        round_id=derived("urgent"), opened_at=MONDAY, plan=plan(urgent=True, exempt=True), texts={"title": "urgent"},
        case_key="0162/x/urgent",
    )  # fmt: skip
    await house.sender.turn()
    assert titles(house) == [["urgent"], ["calm"]]
    [row, *_] = [message for message in await house.messages() if message.urgent]
    await house.stop_all(address_index=row.address_index)
    await ask(house, "again", plan=plan(urgent=True, exempt=True))
    await house.sender.turn()
    assert len(house.email.accepted) == 2
    assert house.states()[-1] == "suppressed"


async def test_what_the_law_gives_time_for_leaves_on_its_day_although_nobody_is_at_work(house: House) -> None:
    house.clock.moment = MONDAY.replace(hour=20)
    await ask(house, "granskning", plan=plan(statutory=True, exempt=True, leave_by="2025-11-10"))
    await ask(house, "other", DIRECT, plan=plan(exempt=True))
    await house.sender.turn()
    assert titles(house) == [["granskning"]]


async def test_a_dead_address_gives_way_to_the_other_channel_and_a_stop_does_not(house: House) -> None:
    await house.contact("r1", "+46701740605", "sms")
    await ask(house, "one")
    await house.sender.turn()
    [row] = await house.messages()
    await house.stop_all(address_index=row.address_index, kind="stop")
    house.clock.moment += timedelta(days=2)
    await ask(house, "two")
    await house.sender.turn()
    assert (len(house.email.accepted), len(house.sms.accepted)) == (1, 0)
    await house.stop_all(address_index=row.address_index, kind="bounce", at=MONDAY + timedelta(hours=1))
    house.clock.moment += timedelta(days=20)
    await ask(house, "three")
    await house.sender.turn()
    assert (len(house.email.accepted), len(house.sms.accepted)) == (1, 1)


async def test_one_person_gets_so_many_sms_in_a_stage_as_the_model_says_and_the_rest_by_mail(house: House) -> None:
    await house.contact("r1", "+46701740605", "sms")
    case: dict[str, Any] = {"case_key": "0162/x/same", "plan": plan(channel="email+sms", exempt=True)}
    await ask(house, "start", **case)
    await house.sender.turn()
    house.clock.moment += timedelta(days=2)
    await ask(house, "more", **case, purpose="feedback")
    await house.sender.turn()
    assert (len(house.email.accepted), len(house.sms.accepted)) == (2, 1)


async def test_a_change_is_told_to_whom_a_digest_told_of_the_round(house: House) -> None:
    reason = await subscribe(house, "weekly")
    await ask(house, "one", reason)
    await house.sender.turn()
    await turn_at(house, TUESDAY)
    await ask(house, "moved", reason, purpose="change", number=1, change="moved", follows=derived("one"))
    await house.sender.turn()
    assert titles(house) == [["one"], ["moved"]]


async def test_what_a_digest_carries_shares_its_fate(house: House) -> None:
    reason = await subscribe(house, "weekly")
    await ask(house, "one", reason)
    await house.sender.turn()
    house.email.will(Outcome(State.UNKNOWN, "connection_lost"))
    await turn_at(house, TUESDAY)
    assert {row.kind: row.state for row in await house.messages()} == {"first": "merged", "digest": "unknown"}
    await house.sender.turn()
    assert {row.kind: row.state for row in await house.messages()} == {"first": "sent", "digest": "sent"}


async def test_of_several_notifiers_one_addresses_at_a_time(house: House) -> None:
    if "sqlite" in house.url:
        pytest.skip("SQLite is for one notifier")
    async with house.database.transaction() as one:
        assert await alone(one)
        async with house.database.transaction() as other:
            assert not await alone(other)
    async with house.database.transaction() as other:
        assert await alone(other)
