"""Which of the invited workplaces are in the register still."""

from collections.abc import Mapping

from schemas.company import Company
from schemas.invitation import Invitation


def living(event: Invitation, known: Mapping[str, Company]) -> set[str]:
    """The invited workplaces that are in the register still. A subscriber is reached wherever the companies went."""
    everywhere = {place.workplace_id for place in event.workplaces}
    if all(reason.kind == "subscription" for place in event.workplaces for reason in place.reasons):
        return everywhere
    return {place for place in everywhere if place in known and known[place].status == "active"}
