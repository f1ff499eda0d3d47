"""What an import did: one object of counts for machines, and the refused rows for whoever corrects the file.

The counts, the log and what is said on a terminal hold no value of the file; a row is found by its number. The report
file holds the refused rows, because they are there to be corrected, without what is personal: no address of a person,
and no number that is, or is shaped like, a personal one. It is written for its owner only.
"""

import csv
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from schemas.types import reads_as_person
from services.matcher.register.checks import Accepted, Refused
from services.matcher.register.counts import Counts
from services.matcher.register.formats import COLUMNS
from services.runtime.mapping import normal

SHOWN: Final = tuple(name for name in COLUMNS if name not in ("email", "phone"))
KEPT: Final = 100_000
"""Refused rows that are kept to be shown: a mapping that is wrong may refuse all of a country."""


@dataclass
class Report(Counts):
    """One import of a register."""

    refusals: list[Refused] = field(default_factory=list)
    """The first of them, to be corrected; all are counted."""
    refused_workplaces: set[str] = field(default_factory=set)
    """The ids of workplaces in refused rows, as they stand there."""
    register_version: str | None = None
    row_word: str = "line"
    forgotten: str = ""
    """Why the import could not keep what it is to remember."""
    notes: list[str] = field(default_factory=list)
    """What is right and yet may be a slip."""
    elsewhere: int = 0
    """Accepted places outside the municipality that their row names."""

    def add(self, result: Accepted | Refused) -> None:
        """Counts one row."""
        self.read += 1
        if isinstance(result, Refused):
            self.refused += 1
            self.reasons[result.reason] += 1
            if workplace_id := normal(result.values.get("workplace_id", "")):
                self.refused_workplaces.add(workplace_id)
            if len(self.refusals) < KEPT:
                self.refusals.append(result)
        else:
            self.accepted += 1
            self.reasons.update(result.notes)

    def skip(self, count: int) -> None:
        """Counts rows that the mapping leaves out."""
        self.read += count
        self.skipped += count

    def said(self, file: str) -> list[str]:
        """One sentence for each refusal."""
        return [f"{file}: {self.row_word} {r.line}: {r.reason}: {r.detail}" for r in self.refusals]

    def as_json(self) -> dict[str, Any]:
        """The object that `--json` prints."""
        return super().as_json() | {"register_version": self.register_version}


def write_refusals(path: Path, refusals: Iterable[Refused]) -> None:
    """The refused rows as a register file in our own shape, with why in front: to correct and import with --partial.

    A personal number has to be filled in again. There are no columns for contacts, so that those that are known stay.
    """
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["line", "reason", "field", "kind", "detail", *SHOWN])
        for item in refusals:
            kind = kind_of(item.values[item.field]) if item.field in item.values else ""
            said = [_unpersonal(item.values, name) for name in SHOWN]
            writer.writerow([item.line, item.reason, item.field, kind, item.detail, *said])


def _unpersonal(values: Mapping[str, str], name: str) -> str:
    value = values.get(name, "")
    return "" if name not in ("lon", "lat") and reads_as_person(value) else value


def kind_of(value: str) -> str:
    """What sort of value stands there, without the value."""
    text = value.strip()
    if not text:
        return "empty"
    if re.fullmatch(r"\d+", text):
        return f"{len(text)} digits"
    if re.fullmatch(r"[+-]?\d[\d\s\u00a0]*[.,]\d+", text):
        return "decimal number"
    if re.fullmatch(r"[\d\s.,+-]+", text):
        return f"digits and signs, {len(text)} characters"
    return f"text, {len(text)} characters"
