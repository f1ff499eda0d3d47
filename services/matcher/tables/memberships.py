"""The members of rounds: every invitation as it was last published."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from schemas.invitation import INVITATION_CHANGED, Invitation, InvitationState
from services.matcher.memberships import Membership
from services.matcher.tables.records import event_id, event_in
from services.runtime.records import Record


class MembershipTable:
    """Every invitation as it was last published, by round."""

    def __init__(self) -> None:
        self._members: dict[str, Membership] = {}
        self._by_round: dict[str, dict[str, Membership]] = {}

    async def apply(self, records: Sequence[Record]) -> None:
        """Takes a batch of the topic. What we published ourselves is known, byte by byte, and not read again."""
        for record in records:
            if record.value is None or self._is_known(record):
                continue
            event = event_in(record, {INVITATION_CHANGED: Invitation}, "se.nardialog.invitation.")
            if isinstance(event, Invitation):
                self.put(Membership.of(event, record.value))

    def put(self, member: Membership) -> None:
        """Keeps a membership unless a later revision is known. Where two instances said one revision in different
        words, nobody knows which of them was heard: the next derivation says it again.
        """
        known = self._members.get(member.invitation_id)
        if known is not None and known.revision > member.revision:
            return
        if known is not None and known.revision == member.revision:
            if (known.live, known.fingerprint) == (member.live, member.fingerprint):
                return
            member = replace(known, state=InvitationState.ISSUED, fingerprint=b"")
        self._members[member.invitation_id] = member
        self._by_round.setdefault(member.round_id, {})[member.invitation_id] = member

    def of_rounds(self, round_ids: Iterable[str]) -> Iterator[Membership]:
        """The members of rounds."""
        for round_id in round_ids:
            yield from self._by_round.get(round_id, {}).values()

    def _is_known(self, record: Record) -> bool:
        known = self._members.get(event_id(record).partition("/")[0])
        return known is not None and known.body == record.value
