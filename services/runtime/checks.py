"""What `nardialog doctor` says of one thing: whether it is as a service needs it, and what to do when not."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from services.runtime.errors import ServiceError

State = Literal["ok", "note", "failed", "unknown"]
"""`note` is worth knowing and stops nothing; `unknown` could not be asked, because something before it failed."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the doctor's."""

    name: str
    state: State
    words: str


def tried(name: str, attempt: Callable[[], object], ok: str) -> Check:
    """Ok with these words, or failed with those of the error that came."""
    try:
        attempt()
    except ServiceError as error:
        return Check(name, "failed", str(error))
    return Check(name, "ok", ok)
