"""What the sinks have in common: providers of our own, for the demo, the tests and the benches, that deliver nothing.

Guaranteed: what they said yes to is in `accepted`, in order and before the answer leaves, so that a reader of the list
knows what a provider would have sent even when the answer was lost. `Behaviour` makes them misbehave at a stated point;
without it they accept everything. They run on the caller's event loop.

These are never reached from outside: they listen on loopback and keep addresses and texts.
"""

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True)
class Act:
    """What a sink does at one point instead of plainly accepting: wait, then drop the connection, or answer `reply`.

    `reply` is an SMTP reply line or an HTTP status code. `accept` says whether the message counts as accepted; by
    itself it does unless the reply is a refusal, so that `Act(drop=True)` is a message taken and an answer lost.
    """

    reply: str = ""
    drop: bool = False
    delay: float = 0.0
    accept: bool | None = None
    retry_after: int | None = None

    @property
    def accepts(self) -> bool:
        return self.accept if self.accept is not None else self.reply[:1] in ("", "2")


Behaviour = Callable[[str, int], Act | None]
"""Called with the point and the number the next accepted message would get. Points: `mail`, `rcpt`, `data` (before the
data), `done` (after them) in SMTP, `sms` and `history` in HTTP. None: behave.
"""

_PLAINLY: Final = Act()


def act_at(behaviour: Behaviour | None, point: str, number: int) -> Act:
    """What it does at this point; plainly accepting, unless told otherwise."""
    return (behaviour and behaviour(point, number)) or _PLAINLY


async def tell(listener: Callable[[Any], Awaitable[None] | None] | None, accepted: object) -> None:
    """Hands what was accepted to whoever listens."""
    told = listener(accepted) if listener else None
    if inspect.isawaitable(told):
        await told
