"""Whatever comes up first, the same invitations come of it and each message leaves once."""

from collections.abc import Awaitable, Callable

import pytest

from schemas.model import default
from schemas.round import RoundState
from schemas.topics import CASES
from services.matcher import files
from services.matcher.dialogue.working_days import local_day
from services.matcher.holds import Limits
from services.matcher.register import reading
from services.matcher.register.checks import Rules
from services.matcher.workplaces import snapshot
from services.notifier.app import NotifierApp
from services.runtime.clock import SystemClock
from tests.journeys.installation import RECIPIENT_KEY, Installation, a_case, row

pytestmark = pytest.mark.anyio
CASES_SENT = [a_case("A 1"), a_case("A 2")]
NAMES = [f"info@exempel{n}.example" for n in range(1, 6)]
PHONES = ["+46701740605", "+46701740606"]
ROWS = [row(n, email=email) for n, email in enumerate(NAMES, 1)] + [row(n, phone=p) for n, p in enumerate(PHONES, 11)]
WITHOUT_CONTACTS = [row(n) for n in (1, 2, 3, 4, 5, 11, 12)]


async def cases(world: Installation) -> None:
    for case in CASES_SENT:
        await world.send_case(case, CASES)


async def notifier_first(world: Installation) -> NotifierApp:
    notifier = await world.notifier()
    await world.matcher()
    await world.import_register(ROWS)
    await cases(world)
    return notifier


async def matcher_first(world: Installation) -> NotifierApp:
    await world.matcher()
    await world.import_register(ROWS)
    await cases(world)
    await all_open(world)
    return await world.notifier()


async def contacts_late(world: Installation) -> NotifierApp:
    notifier = await world.notifier()
    await world.matcher()
    await world.import_register(WITHOUT_CONTACTS)
    await cases(world)
    await all_open(world)
    await world.until(
        lambda: len(world.ends()) == len(world.invitations()) and set(world.ends().values()) == {NOBODY},
        "everybody is not reachable",
    )
    assert not world.accepted()
    await world.import_register(ROWS)
    return notifier


async def cold_matcher_in_front_of_waiting_cases(world: Installation) -> NotifierApp:
    notifier = await world.notifier()
    await cases(world)
    await world.import_register(ROWS)
    await world.matcher()
    return notifier


async def register_last(world: Installation) -> NotifierApp:
    await world.matcher()
    notifier = await world.notifier()
    await cases(world)
    held = {(RoundState.HELD, "no_register")}
    await world.until(
        lambda: len(world.rounds()) == 2 and {(r.state, r.reason) for r in world.rounds().values()} == held,
        "both rounds held for want of a register",
    )
    assert not world.invitations()
    await world.import_register(ROWS)
    return notifier


NOBODY = ("not_reachable", "no_contact")
ORDERS = [notifier_first, matcher_first, contacts_late, cold_matcher_in_front_of_waiting_cases, register_last]


async def all_open(world: Installation) -> None:
    await world.until(
        lambda: [r.state for r in world.rounds().values()] == [RoundState.OPEN] * len(CASES_SENT), "every round open"
    )


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: str(order.__name__))
async def test_the_order_of_starting_changes_neither_who_is_invited_nor_how_often(
    installation: Installation, order: Callable[[Installation], Awaitable[NotifierApp]]
) -> None:
    world = installation
    await world.start()
    notifier = await order(world)
    await all_open(world)
    expected = oracle(world)
    await world.until(lambda: set(world.ends().values()) == {("sent", "accepted")}, "all that ended was sent")
    await world.until(lambda: world.ends().keys() >= expected, "every invitation ended")
    await world.settled(notifier)
    assert world.invitations().keys() == expected
    taken = world.accepted()
    assert set(taken.values()) == {1}
    assert sorted(address for address, _ in taken) == sorted([*NAMES, *PHONES] * len(CASES_SENT))
    assert not world.dead()


def oracle(world: Installation) -> set[str]:
    """The pure derivation on the same register and cases."""
    register = reading.read(world.register(ROWS), Rules(RECIPIENT_KEY.encode()))
    lines = world.folder / "cases.jsonl"
    lines.write_text("\n".join(case.model_dump_json(exclude_none=True) for case in CASES_SENT), encoding="utf-8")
    result = files.match(
        lines,
        snapshot(register.companies.values()),
        default(),
        local_day(SystemClock().now()),
        key=RECIPIENT_KEY.encode(),
        limits=Limits(),
    )
    ids = {item.invitation_id for invitations in result.invitations.values() for item in invitations}
    assert len(ids) == len(ROWS) * len(CASES_SENT)
    return ids
