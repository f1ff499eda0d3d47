"""What the commands of ops share at a terminal: exit codes, how a sentence is said, how one is asked. `UX.md` §5."""

import json
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from services.ops.listing import printable, show

if TYPE_CHECKING:  # help must not wait for pydantic
    from services.runtime.settings import KafkaSettings

OK, FAILED, USAGE, NOT_MET, UNREACHABLE, PARTLY = 0, 1, 2, 3, 5, 6
ASKED_TWICE: Final = 50
"""More than so many at once, and the number itself has to be said."""

Json = Annotated[bool, Parameter(name="--json", negative="")]
Flag = Annotated[bool, Parameter(negative="")]


def kafka_settings() -> "KafkaSettings":
    """The broker of the environment."""
    from services.ops.settings import OpsSettings
    from services.runtime.settings import load

    return load(OpsSettings).kafka


def rows(columns: Sequence[str], found: Sequence[Sequence[object]], as_json: bool) -> None:
    """A table, or one JSON object a line."""
    if as_json:
        for row in found:
            print(json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False))
    else:
        show(columns, found)


def say(text: str) -> None:
    """Prose goes to stderr."""
    print(printable(text), file=sys.stderr)


def failed(text: str) -> int:
    """Says what went wrong."""
    say(f"error: {text}")
    return FAILED


def usage(text: str) -> int:
    """Says what was asked wrongly."""
    say(f"error: {text}")
    return USAGE


def can_ask() -> bool:
    """Whether somebody sits there who may be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty() and "NARDIALOG_NO_PROMPT" not in os.environ


def answer(question: str) -> str:
    """What the person types."""
    print(question, end=" ", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip()


def agreed(question: str) -> bool:
    """Whether the person says yes."""
    return answer(f"{question} [y/N]").lower() in {"y", "yes", "j", "ja"}
