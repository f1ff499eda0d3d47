"""The providers of each channel, in the order in which they are used, and which of them is well.

The first that is not left alone is used. One in trouble is left alone for a while, longer each time, and then tried
with one message; meanwhile the next one in order sends. A message whose outcome is unknown is no business of the next
one: the provider that it was tried at may have it, and alone can say so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.notifier.channels.port import Channel
from services.notifier.ledger.provider_states import ProviderState
from services.notifier.policy.pace import Pace
from services.notifier.policy.retry import breaker_wait


@dataclass
class Breaker:
    """Leaves a provider in trouble alone, longer each time; after that one message tries it."""

    failures: int = 0
    until: datetime | None = None
    code: str = ""
    """What the trouble was."""

    def tripped(self, now: datetime, code: str, asked: float | None) -> None:
        """The provider is in trouble; `asked` are the seconds that it wants to be left alone."""
        if self.until is None or now >= self.until:
            self.failures += 1
        self.until = now + timedelta(seconds=breaker_wait(self.failures, asked))
        self.code = code

    def healthy(self) -> None:
        """It answered."""
        self.failures, self.until, self.code = 0, None, ""

    def is_open(self, now: datetime) -> bool:
        """Whether the provider is left alone at this moment."""
        return self.until is not None and now < self.until


class Providers:
    """Providers by channel, in order, each with its breaker."""

    def __init__(self, channels: Sequence[Channel]) -> None:
        self._of: dict[str, list[Channel]] = {}
        for channel in channels:
            self._of.setdefault(channel.name, []).append(channel)
        self._breakers = {(channel.name, channel.provider): Breaker() for channel in channels}
        self._paces = {(channel.name, channel.provider): Pace() for channel in channels}
        self._told: dict[tuple[str, str], ProviderState] = {}

    @property
    def channels(self) -> Sequence[str]:
        """The channels that somebody sends by."""
        return tuple(self._of)

    def breaker(self, provider: Channel) -> Breaker:
        """Its breaker."""
        return self._breakers[provider.name, provider.provider]

    def pace(self, provider: Channel) -> Pace:
        """How fast it may be given messages."""
        return self._paces[provider.name, provider.provider]

    def well(self, channel: str, now: datetime) -> Channel | None:
        """The first provider of a channel that is not left alone now."""
        return next((one for one in self._of[channel] if not self.breaker(one).is_open(now)), None)

    def named(self, channel: str, provider: str) -> Channel:
        """The provider that a message was tried at; the first of its channel where that is not set up any more."""
        return next((one for one in self._of[channel] if one.provider == provider), self._of[channel][0])

    def free_again(self, channel: str, now: datetime) -> datetime:
        """When some provider of this channel may be tried."""
        if self.well(channel, now) is not None:
            return now
        return min(self.breaker(one).until or now for one in self._of[channel])

    def news(self) -> list[ProviderState]:
        """Those that are not as they were when this was asked last."""
        found = [
            ProviderState(channel, provider, breaker.failures, breaker.until, breaker.code)
            for (channel, provider), breaker in self._breakers.items()
        ]
        new = [state for state in found if self._told.get((state.channel, state.provider)) != state]
        self._told |= {(state.channel, state.provider): state for state in new}
        return new
