"""Who belongs to a round by now, and what a newer derivation changes for them.

Only the difference is published: a corrected title invites nobody anew. A revision is one more than the last that is
known, and what is already there is not said again; so a derivation that was cut off half-way is finished by doing it
again, with the same ids and revisions. *Issued* after *revoked* reopens.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from schemas.invitation import Invitation, InvitationState
from schemas.types import Basis
from services.runtime.parsing import encoded

CONTENT = {"workplaces", "more_workplaces", "forms", "respond_by", "expires_at"}
"""What a recipient would want to hear of again. The versions of model and register are not among it."""


def fingerprint(invitation: Invitation) -> bytes:
    """Of what the recipient is told: equal for two derivations that say the same."""
    content = invitation.model_dump_json(include=CONTENT, exclude_none=True)
    return hashlib.blake2b(content.encode(), digest_size=16).digest()


@dataclass(frozen=True, slots=True)
class Membership:
    """One recipient's invitation to a round as it was last published."""

    invitation_id: str
    case_key: str
    round_id: str
    recipient_id: str
    revision: int
    state: InvitationState
    fingerprint: bytes
    basis: Basis
    body: bytes
    """As it is on the topic."""

    @classmethod
    def of(cls, invitation: Invitation, body: bytes | None = None) -> "Membership":
        """The membership that an invitation says. Without a body it is written here, once for all who need it."""
        return cls(
            invitation.invitation_id,
            invitation.case_key,
            invitation.round_id,
            invitation.recipient_id,
            invitation.revision,
            invitation.state,
            fingerprint(invitation),
            invitation.basis,
            body if body is not None else encoded(invitation),
        )

    @property
    def live(self) -> bool:
        """Whether it stands: it was not taken back."""
        return self.state is not InvitationState.REVOKED

    @property
    def invitation(self) -> Invitation:
        """The invitation itself."""
        return Invitation.model_validate_json(self.body, extra="ignore")

    def revoked(self, basis: Basis) -> Invitation:
        """What takes it back."""
        return self.invitation.model_copy(
            update={"revision": self.revision + 1, "state": InvitationState.REVOKED, "basis": basis}
        )


Members = Mapping[str, Membership]
"""By invitation id."""


def difference(wanted: Iterable[Invitation], known: Members, basis: Basis) -> tuple[Invitation, ...]:
    """What has to be said so that exactly the wanted ones are invited, as they are wanted."""
    said: list[Invitation] = []
    named: set[str] = set()
    for invitation in wanted:
        named.add(invitation.invitation_id)
        member = known.get(invitation.invitation_id)
        if member is None:
            said.append(invitation)
        elif not member.live:
            said.append(invitation.model_copy(update={"revision": member.revision + 1}))
        elif member.fingerprint != fingerprint(invitation):
            update = {"revision": member.revision + 1, "state": InvitationState.REVISED}
            said.append(invitation.model_copy(update=update))
    return (*said, *revocations((m for m in known.values() if m.invitation_id not in named), basis))


def revocations(members: Iterable[Membership], basis: Basis) -> tuple[Invitation, ...]:
    """What takes back those that still stand, in order of recipient."""
    return tuple(m.revoked(basis) for m in sorted(members, key=lambda m: m.recipient_id) if m.live)
