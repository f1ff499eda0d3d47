"""`nardialog run`: one service, or all of them, in this process until SIGINT or SIGTERM.

With `all`, the first service that ends takes the others down with it: half a system that looks alive is worse than
none, and whoever supervises the process starts it again.
"""

import asyncio
import signal
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

from services.runtime import logs
from services.runtime.clock import Clock, SystemClock
from services.runtime.errors import Fault
from services.runtime.serving import serve
from services.runtime.settings import ServiceSettings, load

Serve = Callable[[Clock, asyncio.Event], Coroutine[Any, Any, None]]


def run(name: str) -> int:
    """Runs `matcher`, `notifier`, `portal` or `all` to its end."""
    asyncio.run(_until_stopped(name))
    return 0


async def _until_stopped(name: str) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    settings = load(ServiceSettings)
    if name == "all" and settings.health.port:
        raise Fault(
            "`run all` cannot open one health port for several services: leave "
            "NARDIALOG_HEALTH__PORT out or set it to 0, or run each service by itself"
        )
    prepared = [named(part, PREPARE[part]()) for part in (PREPARE if name == "all" else (name,))]
    logs.configure(settings.log, name)
    await together(prepared, SystemClock(), stop)


def named(name: str, serve: Serve) -> Serve:
    """The service with its own name in its log lines, also where several share the process."""

    async def inner(clock: Clock, stop: asyncio.Event) -> None:
        logs.name_service(name)
        await serve(clock, stop)

    return inner


async def together(services: list[Serve], clock: Clock, stop: asyncio.Event) -> None:
    """Serves all until `stop`, or until one ends; then all are stopped in order. Raises what ended the first."""
    tasks = [asyncio.ensure_future(serve(clock, stop)) for serve in services]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result


def _matcher() -> Serve:
    from services.matcher.app import build
    from services.matcher.settings import MatcherSettings

    settings = load(MatcherSettings)
    settings.installation.key()  # never the published one, which the demo may use
    return lambda clock, stop: serve(build(settings, clock), stop)


def _notifier() -> Serve:
    from services.notifier.app import build
    from services.notifier.settings import NotifierSettings

    settings = load(NotifierSettings)
    return lambda clock, stop: serve(build(settings, clock), stop)


def _portal() -> Serve:
    from services.portal.app import build
    from services.portal.settings import PortalSettings

    settings = load(PortalSettings)
    settings.installation.key()
    return lambda clock, stop: serve(build(settings, clock), stop)


def _ops() -> Serve:
    from services.ops.app import build
    from services.ops.settings import OpsSettings

    settings = load(OpsSettings)
    return lambda clock, stop: serve(build(settings), stop)


PREPARE: Final[Mapping[str, Callable[[], Serve]]] = {
    "matcher": _matcher,
    "notifier": _notifier,
    "portal": _portal,
    "ops": _ops,
}
"""Loads a service's code and settings, so that a bad setting is told before anything has started."""
