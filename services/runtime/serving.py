"""How every service is run: started, watched, stopped. `app.py` of each says what it is made of."""

import asyncio
import gc
from typing import Final, Protocol

_COLLECT_AT: Final = 20_000
"""New objects before the collector looks for circles: a batch of events makes tens of thousands, and none of them."""


class App(Protocol):
    """A service that was put together."""

    @property
    def finished(self) -> "asyncio.Task[None] | None":
        """The task that ends by `stop`, or with the fault that ended the service."""
        ...

    async def start(self) -> None:
        """Returns when it takes work."""
        ...

    async def stop(self) -> None:
        """Lets what is under way finish, however far `start` came."""
        ...


async def serve(app: App, stop: asyncio.Event) -> None:
    """Runs a service until `stop` is set. Raises what ended it."""
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await app.start()
        spare_collector()
        if app.finished is not None:
            await asyncio.wait({stopping, app.finished}, return_when=asyncio.FIRST_COMPLETED)
            if app.finished.done():
                app.finished.result()
    finally:
        stopping.cancel()
        await app.stop()


def spare_collector() -> None:
    """What a service was put together from stays as long as it does: the collector need not walk it again and again,
    nor all that a batch has just made. It was a tenth of the time of sending.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AT, 20, 20)
