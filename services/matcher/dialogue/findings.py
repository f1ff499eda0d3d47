"""What a check of a dialogue model finds, each with its place in the file and what to do."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, get_args

Severity = Literal["error", "warning", "note"]
SEVERITIES: Final[tuple[Severity, ...]] = get_args(Severity)


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: how badly, where, what, and what to do."""

    severity: Severity
    code: str
    pointer: str
    what: str
    remedy: str


def passes(found: Iterable[Finding], *, strict: bool = False) -> bool:
    """Whether a model may be used; with `strict` warnings count too."""
    bad = {"error", "warning"} if strict else {"error"}
    return not any(item.severity in bad for item in found)


def in_order(found: Iterable[Finding]) -> list[Finding]:
    """The worst first, each once."""
    return sorted(dict.fromkeys(found), key=lambda item: SEVERITIES.index(item.severity))
