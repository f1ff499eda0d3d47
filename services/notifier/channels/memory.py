"""A channel without a provider: the fake that ships beside the real ones and passes the same contract suite."""

from collections import deque

from services.notifier.channels.port import NOT_ASKED, Outcome, Outgoing, State


class MemoryChannel:
    """Accepts everything, unless told otherwise by `will`, and keeps what it accepted in `accepted`."""

    def __init__(self, name: str = "email", *, provider: str = "memory", can_be_asked: bool = False) -> None:
        self.name = name
        self.provider = provider
        self.at_once: int | None = None
        self.accepted: list[Outgoing] = []
        self.closed = False
        self.cannot_be_asked_now = False
        self._can_be_asked = can_be_asked
        self._script: deque[tuple[Outcome, bool]] = deque()

    def will(self, *outcomes: Outcome, accept: bool | None = None) -> None:
        """The next sends end in these, one each. A message whose outcome is sent or unknown was accepted, unless
        `accept` says otherwise: unknown is dangerous because it may be either.
        """
        for outcome in outcomes:
            kept = outcome.state in (State.SENT, State.UNKNOWN) if accept is None else accept
            self._script.append((outcome, kept))

    async def send(self, message: Outgoing) -> Outcome:
        """The next scripted outcome, or acceptance."""
        if self.closed:
            return Outcome(State.NOT_SENT, "closed")
        scripted, kept = self._script.popleft() if self._script else (None, True)
        if kept:
            self.accepted.append(message)
        return scripted or self._acceptance(message)

    async def look_up(self, message: Outgoing) -> Outcome | None:
        """What was accepted, if this one can be asked."""
        if self.cannot_be_asked_now:
            return Outcome(State.UNKNOWN, NOT_ASKED)
        known = self._can_be_asked and any(kept.reference == message.reference for kept in self.accepted)
        return self._acceptance(message) if known else None

    async def close(self) -> None:
        """Nothing is sent after this."""
        self.closed = True

    def _acceptance(self, message: Outgoing) -> Outcome:
        return Outcome(State.SENT, "accepted", provider_ref=f"memory-{message.reference}")
