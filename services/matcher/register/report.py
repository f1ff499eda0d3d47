"""What an import did: one object of counts for machines, and the refused rows for whoever corrects the file.

No value of the file stands in either; a row is found by its line.
"""

import csv
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.matcher.register.checks import Accepted, Refused


@dataclass
class Report:
    """Counts of one import. `reasons` counts refusals and what was left out of accepted rows, by code."""

    read: int = 0
    accepted: int = 0
    changed: int = 0
    closed: int = 0
    unchanged: int = 0
    skipped: int = 0
    refused: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    refusals: list[Refused] = field(default_factory=list)
    register_version: str | None = None

    def add(self, result: Accepted | Refused) -> None:
        """Counts one row."""
        self.read += 1
        if isinstance(result, Refused):
            self.refused += 1
            self.reasons[result.reason] += 1
            self.refusals.append(result)
        else:
            self.accepted += 1
            self.reasons.update(result.notes)

    def as_json(self) -> dict[str, Any]:
        """The object that `--json` prints."""
        counts = ("read", "accepted", "changed", "closed", "unchanged", "skipped", "refused")
        return {name: getattr(self, name) for name in counts} | {
            "reasons": dict(sorted(self.reasons.items())),
            "register_version": self.register_version,
        }


def write_refusals(path: Path, refusals: Iterable[Refused]) -> None:
    """The refused rows as CSV: line, reason, what to do."""
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["line", "reason", "detail"])
        writer.writerows([item.line, item.reason, item.detail] for item in refusals)
