"""What was invited and what became of it, as the topics tell; and the balance against what the sinks accepted."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from schemas.delivery import FINAL, Delivery, DeliveryState
from schemas.invitation import Invitation
from schemas.topics import INVITATIONS
from services.demo.settling import doubled
from services.runtime.records import Record


class Accounts:
    """Kept from the records of `invitations` and `deliveries`."""

    def __init__(self) -> None:
        self.invitations: dict[str, Invitation] = {}
        self.messages: dict[str, set[str]] = {}
        self.final: dict[str, DeliveryState] = {}
        self.resent: Counter[str] = Counter()
        self._counted: set[str] = set()
        self._moves = 0

    def moves(self) -> int:
        """Grows with everything that is seen."""
        return self._moves

    async def take(self, records: Sequence[Record]) -> None:
        self._moves += len(records)
        for record in records:
            if record.value is None:
                continue
            if record.topic == INVITATIONS.name:
                invitation = Invitation.model_validate_json(record.value, extra="ignore")
                self.invitations[invitation.invitation_id] = invitation
            else:
                self.deliver(Delivery.model_validate_json(record.value, extra="ignore"))

    def deliver(self, delivery: Delivery) -> None:
        if delivery.message_id is not None:
            self.messages.setdefault(delivery.message_id, set()).update(delivery.invitation_ids)
        if delivery.state in FINAL and delivery.kind != "reminder":
            self.final.update(dict.fromkeys(delivery.invitation_ids, delivery.state))
        if delivery.resent_unknown and delivery.delivery_id not in self._counted:
            self._counted.add(delivery.delivery_id)
            if delivery.state is DeliveryState.COMPOSED and delivery.message_id is not None:
                self.resent[delivery.message_id] += 1


def balance(expected: set[str], accounts: Accounts, accepted: Mapping[str, int]) -> dict[str, Any]:
    """Lost and doubled as the design defines them.

    lost = expected − (accepted by a provider ∪ stated reason); doubled = copies beyond the first, less those that
    policy sent again after an unknown outcome. `copies` are all beyond the first that a provider really took.
    """
    reached = {id_ for message in accepted for id_ in accounts.messages.get(message, ())}
    stated = {id_ for id_, state in accounts.final.items() if state is not DeliveryState.SENT}
    resolved = Counter(state.value for id_, state in accounts.final.items() if id_ in expected)
    return {
        "invitations": len(expected),
        "messages": len(accepted),
        "lost": len(expected - reached - stated),
        "doubled": doubled(accepted, accounts.resent),
        "resent_unknown": sum(accounts.resent.values()),
        "copies": sum(taken - 1 for taken in accepted.values()),
        "stuck": len(expected - set(accounts.final)),
        "unexpected": len(set(accounts.invitations) - expected),
        "resolved": ", ".join(f"{count} {state}" for state, count in sorted(resolved.items())),
    }
