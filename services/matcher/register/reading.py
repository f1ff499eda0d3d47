"""A whole register file as workplaces and contacts, with its report: what import and `match` both begin with."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from schemas.company import Company
from services.matcher.register import formats
from services.matcher.register.checks import PlainContact, Refused, Rules, check
from services.matcher.register.report import Report


@dataclass(frozen=True)
class RegisterFile:
    """What a file says. Of two rows with one workplace id the first is kept and the second refused."""

    companies: dict[str, Company]
    contacts: tuple[PlainContact, ...]
    report: Report


def read(path: Path, rules: Rules, on_row: Callable[[], object] = lambda: None) -> RegisterFile:
    """Reads and checks a file. Raises `formats.Unreadable` where it cannot be read as a whole."""
    companies: dict[str, Company] = {}
    contacts: list[PlainContact] = []
    report = Report()
    for row in formats.rows(path):
        result = check(row, rules)
        if not isinstance(result, Refused) and result.company.workplace_id in companies:
            result = Refused(row.line, "duplicate_workplace", "workplace_id: stands on an earlier line; keep one row")
        report.add(result)
        if not isinstance(result, Refused):
            companies[result.company.workplace_id] = result.company
            contacts += result.contacts
        on_row()
    return RegisterFile(companies, tuple(contacts), report)
