"""What an import of companies, or of cases, counts."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

COUNTS: Final = ("read", "accepted", "added", "changed", "closed", "unchanged", "skipped", "refused")


@dataclass
class Counts:
    """What every import counts. `reasons` are those of refusals, and of what was left out of accepted rows, by code."""

    read: int = 0
    accepted: int = 0
    added: int = 0
    """Of those that were written, the ones that were not there before."""
    changed: int = 0
    """Those that were written."""
    closed: int = 0
    """Those that have ended, or that the file no longer has."""
    unchanged: int = 0
    skipped: int = 0
    refused: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def as_json(self) -> dict[str, Any]:
        """The object that `--json` prints."""
        return {name: getattr(self, name) for name in COUNTS} | {"reasons": dict(sorted(self.reasons.items()))}
