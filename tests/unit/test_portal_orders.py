"""`POST /api/v1/orders`: what officials decide, said by the system that they work in."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from schemas.case import Case
from schemas.dialogue import Dialogue
from schemas.round import Round
from schemas.topics import DIALOGUES, SUPPRESSIONS
from services.portal.store import keys
from tests.matcher_cases import content
from tests.portal_world import NOW, Offline, api_key, offline, round_of

pytestmark = pytest.mark.anyio
KEY: Final = "0162/prov/A"
BY: Final = "näringslivskontoret"
SET: Final = "ab" * 16
CASE: Final = Case.model_validate(content())
OPEN: Final = {"counts": {"invitations": 4, "workplaces": 5}, "set_hash": SET, "remind_at": None}


class At:
    """A case that was sent, its rounds, and whoever orders."""

    def __init__(self, portal: Offline, token: str) -> None:
        self.portal, self.token = portal, token

    async def rounds(self, *rounds: Round) -> None:
        await self.portal.say(*rounds)

    async def order(self, kind: str, token: str = "", **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token or self.token}"}
        headers |= {"Idempotency-Key": more.pop("again")} if "again" in more else {}
        sent = {"order": kind, "case": KEY, "by": BY, **more}
        async with self.portal.client() as client:
            return await client.post("/api/v1/orders", json=sent, headers=headers)

    def decided(self) -> list[str]:
        told = self.portal.events(DIALOGUES)
        return [item.kind for item in Dialogue.model_validate_json(told[-1].value or b"").decisions] if told else []


async def allowed(portal: Offline, **changes: Any) -> str:
    token, key = api_key(**changes)
    async with portal.database.transaction() as connection:
        await keys.add(connection, key)
    return token


@pytest.fixture
async def at(tmp_path: Path) -> AsyncIterator[At]:
    async with offline(tmp_path) as portal:
        await portal.say(CASE)
        yield At(portal, await allowed(portal))


def kind_of(answer: httpx.Response, status: int) -> str:
    """Of the problem document that was answered."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return str(answer.json()["type"]).rpartition(":")[2]


@pytest.mark.parametrize(
    ("kind", "state", "more"),
    [
        ("release", "held", {"set_hash": SET}),
        ("undo", "open", {"reason": "fel område"}),
        ("remind", "open", {}),
        ("feedback", "closed", {"outcome": {"taken": "Lastplatserna flyttas inte."}}),
        ("correct", "open", {"text": "Det är den 5 december."}),
        ("add", "open", {"workplaces": ["W1"], "reason": "äger huset"}),
        ("remove", "held", {"workplaces": ["W1"], "reason": "har flyttat"}),
        ("unlist", "open", {"workplaces": ["W1"]}),
    ],
)
async def test_each_order_is_a_decision_that_the_broker_has_when_it_is_answered(
    at: At, kind: str, state: str, more: dict[str, Any]
) -> None:
    await at.rounds(round_of(CASE, state=state, **OPEN))
    answer = await at.order(kind, **more)
    assert answer.status_code == 202, answer.text
    told = answer.json()
    assert (told["case"], told["decision"]) == (KEY, 1)
    assert answer.headers["location"] == told["status_url"] == f"/api/v1/cases/{KEY}"
    [record] = at.portal.events(DIALOGUES)
    assert record.headers["ce_id"] == told["event_id"]
    [decision] = Dialogue.model_validate_json(record.value or b"").decisions
    assert (decision.kind, decision.by) == (kind, BY)
    assert len(at.portal.events(SUPPRESSIONS)) == (kind == "undo")


async def test_a_release_names_the_set_that_was_shown_and_a_changed_one_is_looked_at_again(at: At) -> None:
    await at.rounds(round_of(CASE, state="held", **OPEN))
    answer = await at.order("release")
    assert kind_of(answer, 422) == "invalid-order"
    assert [fault["pointer"] for fault in answer.json()["errors"]] == ["/set_hash"]
    assert kind_of(await at.order("release", set_hash="cd" * 16), 409) == "set-changed"
    assert at.decided() == []


async def test_what_stands_against_an_order_is_told_and_nothing_is_decided(at: At) -> None:
    assert kind_of(await at.order("remind"), 409) == "no-such-round"
    asks = round_of(CASE, **OPEN)
    await at.rounds(asks.model_copy(update={"remind_at": NOW - timedelta(days=1)}))
    assert kind_of(await at.order("remind"), 409) == "reminded"
    await at.rounds(asks.model_copy(update={"expires_at": NOW}))
    assert kind_of(await at.order("remind"), 409) == "closed"
    await at.rounds(asks.model_copy(update={"round_id": "another", "occurrence": 2}))
    assert kind_of(await at.order("correct", text="x"), 409) == "several-rounds"
    assert at.decided() == []
    assert (await at.order("correct", text="x", round="another")).status_code == 202


async def test_nobody_is_told_twice_what_came_of_it(at: At) -> None:
    await at.rounds(round_of(CASE, **OPEN))
    assert (await at.order("feedback", outcome={"said": "Ja"})).status_code == 202
    assert kind_of(await at.order("feedback", outcome={"said": "Ja"}), 409) == "told"


async def test_the_same_request_again_is_answered_the_same_and_another_with_its_key_is_refused(at: At) -> None:
    await at.rounds(round_of(CASE, **OPEN))
    first, second = [await at.order("correct", text="x", again="k1") for _ in range(2)]
    assert first.json() == second.json()
    assert at.decided() == ["correct"]
    assert kind_of(await at.order("correct", text="y", again="k1"), 422) == "idempotency-key-reused"
    assert (await at.order("correct", text="x")).json()["decision"] == 2


@pytest.mark.parametrize(
    ("more", "pointer"),
    [
        ({"kind": "burn"}, "/order"),
        ({"by": " "}, "/by"),
        ({"kind": "correct", "text": 7}, "/text"),
        ({"reason": "x" * 201}, "/reason"),
        ({"wish": 1}, "/wish"),
    ],
)
async def test_what_is_wrong_with_an_order_is_told_with_its_place(at: At, more: dict[str, Any], pointer: str) -> None:
    answer = await at.order(more.pop("kind", "undo"), **more)
    assert kind_of(answer, 422) == "invalid-order"
    assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]


@pytest.mark.parametrize("kind", ["feedback", "correct", "add"])
async def test_an_order_without_its_words_is_refused(at: At, kind: str) -> None:
    await at.rounds(round_of(CASE, **OPEN))
    assert kind_of(await at.order(kind), 422) == "invalid-order"


async def test_a_key_orders_for_its_own_sources_alone_and_only_where_it_may_decide(at: At) -> None:
    await at.rounds(round_of(CASE, **OPEN))
    strange = await allowed(at.portal, sources=frozenset({"other"}))
    assert kind_of(await at.order("undo", strange), 404) == "no-such-case"
    writes = await allowed(at.portal, scopes=frozenset({"cases:write", "cases:read"}))
    assert kind_of(await at.order("undo", writes), 403) == "missing-scope"
    assert kind_of(await at.order("undo", "x"), 401) == "unknown-key"
    assert at.decided() == []


async def test_a_broker_that_is_away_takes_no_order(at: At) -> None:
    await at.rounds(round_of(CASE, **OPEN))
    at.portal.broken = True
    assert kind_of(await at.order("undo"), 503) == "try-again"
    at.portal.broken = False
    assert (await at.order("undo")).json()["decision"] == 1


async def test_of_two_decisions_at_the_same_moment_the_one_that_was_replaced_says_so(at: At) -> None:
    """As when a command decides between our look and our word."""
    await at.rounds(round_of(CASE, **OPEN))
    publish = at.portal.publish

    async def another_first(records: Any) -> None:
        at.portal.publish = publish  # type: ignore[method-assign]
        await publish(records)
        decision = {"number": 1, "kind": "undo", "round_id": "x", "at": NOW, "by": "y"}
        same = {"municipality": "0162", "source": "prov", "case_id": "A"}
        await at.portal.say(Dialogue.model_validate({**same, "decisions": [decision, {**decision, "number": 2}]}))

    at.portal.publish = another_first  # type: ignore[method-assign]
    assert kind_of(await at.order("remind"), 409) == "decided-at-once"
