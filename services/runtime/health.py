"""`/healthz`: the process lives. `/readyz`: its tables are read and it takes work. `/metrics`: Prometheus's text."""

from collections.abc import Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from services.runtime.settings import HealthSettings


class HealthServer:
    """A small HTTP server beside a service. `ready` is asked at each request, and what is worth knowing beside it."""

    def __init__(
        self, settings: HealthSettings, ready: Callable[[], bool], note: Callable[[], str] = lambda: ""
    ) -> None:
        self._settings = settings
        self._ready = ready
        self._note = note
        self._runner: web.AppRunner | None = None
        self.port: int | None = None

    async def start(self) -> None:
        """Opens the port, where one is set."""
        if self._settings.port is None:
            return
        app = web.Application(client_max_size=1024)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._settings.host, self._settings.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Closes the port."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        ready = self._ready()
        said = "ready" if ready else "reading tables"
        text = ": ".join(part for part in (said, self._note()) if part)
        return web.Response(text=f"{text}\n", status=200 if ready else 503)

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})
