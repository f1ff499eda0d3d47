"""A provider that is given at most so many messages a minute, evenly: what it would queue stays with us, where it can
still be stopped. A bucket of one message, because a larger one lets its whole content through at once.
"""

from aiolimiter import AsyncLimiter

from services.notifier.channels.port import Channel, Outcome, Outgoing

_MINUTE = 60.0


class Paced:
    """A channel that waits its turn. `at_once` is what leaves within a second, so that few wait with their intent
    written: what is said meanwhile still stops the others.
    """

    def __init__(self, channel: Channel, per_minute: float) -> None:
        self.name = channel.name
        self.provider = channel.provider
        self.at_once: int | None = max(1, int(per_minute / _MINUTE))
        self._channel = channel
        self._limiter = AsyncLimiter(1, _MINUTE / per_minute)

    async def send(self, message: Outgoing) -> Outcome:
        """The channel's outcome, in its turn."""
        async with self._limiter:
            return await self._channel.send(message)

    async def look_up(self, message: Outgoing) -> Outcome | None:
        """Questions are not counted."""
        return await self._channel.look_up(message)

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()


def paced(channel: Channel, per_minute: float) -> Channel:
    """The channel at that pace; 0 sets none."""
    return Paced(channel, per_minute) if per_minute else channel
