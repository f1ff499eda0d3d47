"""Lost and doubled are counted from what the sinks and topics say, so they must be able to say yes."""

import pytest

from schemas.delivery import DeliveryState
from services.demo.board import Board
from services.demo.commands import demo
from services.demo.settling import Expected, judge, settled
from services.demo.world import refuse_real_providers
from services.runtime.errors import Fault

ORACLE = Expected(frozenset({"i1", "i2"}), good_cases=0, refused_cases=0)


def board() -> Board:
    """One message with one invitation accepted, the other not reachable."""
    made = Board()
    made.invitations = {"i1": "r", "i2": "r"}
    made.carried = {"m1": {"i1"}}
    made.message_states = {"m1": DeliveryState.SENT}
    made.states = {"i1": {DeliveryState.COMPOSED, DeliveryState.SENT}, "i2": {DeliveryState.NOT_REACHABLE}}
    made.accepted["m1"] = 1
    return made


def test_all_accepted_or_with_a_stated_reason_is_neither_lost_nor_doubled() -> None:
    verdict = judge(board(), ORACLE)
    assert (verdict.lost, verdict.doubled, verdict.unexpected) == (0, 0, 0)
    assert settled(board(), ORACLE)


def test_a_message_said_to_be_sent_that_no_sink_took_is_lost() -> None:
    made = board()
    made.accepted.clear()
    assert judge(made, ORACLE).lost == 1


def test_an_invitation_that_never_came_to_be_is_lost() -> None:
    assert judge(board(), Expected(frozenset({"i1", "i2", "i3"}), 0, 0)).lost == 1


def test_a_message_accepted_twice_is_doubled_unless_policy_resent_it() -> None:
    made = board()
    made.accepted["m1"] = 2
    assert judge(made, ORACLE).doubled == 1
    made.resent_unknown = {"m1/2"}
    assert (judge(made, ORACLE).doubled, judge(made, ORACLE).resent_unknown) == (0, 1)


def test_an_invitation_that_the_oracle_does_not_know_is_seen() -> None:
    assert judge(board(), Expected(frozenset({"i1"}), 0, 0)).unexpected == 1


def test_nothing_is_settled_while_a_message_or_an_invitation_is_under_way() -> None:
    composed, admitted = board(), board()
    composed.message_states["m1"] = DeliveryState.COMPOSED
    del admitted.states["i2"]
    assert not settled(composed, ORACLE)
    assert not settled(admitted, ORACLE)


@pytest.mark.parametrize("name", ["NARDIALOG_NOTIFIER__SMTP__HOST", "NARDIALOG_NOTIFIER__SMS__USERNAME"])
def test_the_demo_refuses_to_start_with_a_real_provider_set(name: str) -> None:
    with pytest.raises(Fault, match=name):
        refuse_real_providers({name: "relay.example"})


def test_json_without_once_is_refused_because_it_would_never_come() -> None:
    with pytest.raises(Fault, match="--once"):
        demo(json=True)


def test_a_resend_of_one_message_does_not_excuse_that_another_came_twice() -> None:
    made = board()
    made.accepted.update({"m1": 1, "m2": 1})
    made.resent_unknown = {"m2/2"}
    assert judge(made, ORACLE).doubled == 1
