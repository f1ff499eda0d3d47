"""Until when an answer is taken, and what else the page says of an invitation."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from schemas.invitation import InvitationState
from schemas.round import RoundState
from services.portal.standing import Standing, standing
from tests.portal_world import case, company, invitation, round_of

LAST = date(2027, 5, 14)
NOON = datetime(2027, 5, 10, 10, tzinfo=UTC)


def stands(now: datetime = NOON, invited: dict[str, Any] | None = None, **changes: Any) -> Standing:
    of = round_of(case(), **{"respond_by": LAST, "expires_at": "2027-05-15T00:00:00+02:00"} | changes)
    return standing(of, invitation(company("A"), of, **invited or {}), now).standing


def test_an_answer_is_in_time_until_the_end_of_the_local_day() -> None:
    # FC-064: 14 May 23.30 in Stockholm is 21.30 UTC.
    midnight = datetime(2027, 5, 14, 22, tzinfo=UTC)
    assert stands(midnight - timedelta(minutes=30)) is Standing.OPEN
    assert stands(midnight - timedelta(microseconds=1)) is Standing.OPEN
    assert stands(midnight) is Standing.EXPIRED


def test_the_later_of_the_rounds_and_the_invitations_last_day_counts() -> None:
    late = datetime(2027, 5, 16, 10, tzinfo=UTC)
    assert stands(late, respond_by=date(2027, 5, 20), invited={"respond_by": LAST}) is Standing.OPEN
    assert stands(late, respond_by=LAST, invited={"respond_by": date(2027, 5, 20)}) is Standing.OPEN


def test_an_invitation_without_a_last_day_ends_when_it_expires() -> None:
    expires = datetime(2027, 5, 12, tzinfo=UTC)
    assert stands(expires - timedelta(seconds=1), respond_by=None, invited={"expires_at": expires}) is Standing.OPEN
    assert stands(expires, respond_by=None, invited={"expires_at": expires}) is Standing.EXPIRED


@pytest.mark.parametrize(
    ("changes", "invited", "said"),
    [
        ({"state": RoundState.WITHDRAWN}, {}, Standing.WITHDRAWN),
        ({"state": RoundState.HELD, "reason": "undone"}, {}, Standing.UNDONE),
        ({"state": RoundState.HELD, "reason": "set_changed"}, {}, Standing.OPEN),
        ({"state": RoundState.CLOSED, "reason": "closed"}, {}, Standing.CLOSED),
        ({"state": RoundState.CLOSED, "reason": "newer_stage"}, {}, Standing.OPEN),
        ({"state": RoundState.MATCHING}, {}, Standing.OPEN),
        ({}, {"state": InvitationState.REVOKED}, Standing.NOT_AFFECTED),
        ({"state": RoundState.WITHDRAWN}, {"state": InvitationState.REVOKED}, Standing.WITHDRAWN),
        ({"plan": None}, {}, Standing.INFORMATION),
    ],
)
def test_each_end_has_its_own_words(changes: dict[str, Any], invited: dict[str, Any], said: Standing) -> None:
    assert stands(invited=invited, **changes) is said
