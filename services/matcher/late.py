"""Whether a round that is open still takes newcomers, and whom the case concerns as one value.

A workplace or a subscription that appears while a round is open is invited if enough of the answering time is left; how
much is the model's to say (`late_comers`). Those who are invited already stay. Where the case itself says another area
or other industries, those whom that adds are no late comers: they are invited whatever the time. A round that only
informs takes everybody for as long as it is open.
"""

from datetime import datetime, timedelta
from typing import Final

from schemas.case import Case
from schemas.identity import derived
from schemas.model import LateComers

CONCERNS: Final = {
    "municipality", "case_type", "stage", "occurrence", "geometries", "area", "industries", "named", "applicant",
    "applicant_id", "reach",
}  # fmt: skip
"""What of a case decides whom it concerns."""


def reach_hash(case: Case) -> str:
    """Equal for two states of a case that concern the same: a corrected title changes nothing."""
    return derived("reach", case.model_dump_json(include=CONCERNS, exclude_defaults=True))


def too_late(opened_at: datetime, expires_at: datetime, now: datetime, rule: LateComers) -> bool:
    """Whether too little of the answering time is left at `now`."""
    whole, left = expires_at - opened_at, expires_at - now
    enough = left >= rule.min_share_left * whole and left >= timedelta(days=rule.min_days_left)
    return not enough
