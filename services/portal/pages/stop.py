"""The stop page, and the one-click of RFC 8058: a POST stops, a GET never does, and neither asks for a cookie.

What stops is acknowledged by the broker before the page says so. When it could not be, the page says that, and never
promises. A stop works for any message that we ever sent, also one that this store knows nothing of.
"""

from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from services.portal import invited, stops
from services.portal.invited import Carried
from services.portal.pages.render import fields, page, redirect
from services.portal.portal import Portal
from services.portal.stops import ALL, Stop
from services.runtime.errors import Transient
from services.runtime.link_tokens import Purpose, verify
from services.runtime.logs import logger

ONE_CLICK: Final = ("List-Unsubscribe", "One-Click")


class StopPages:
    """The pages behind one message's stop link."""

    def __init__(self, portal: Portal) -> None:
        self._portal = portal

    def routes(self) -> list[BaseRoute]:
        """Their addresses."""
        return [
            Route("/avsluta/{token}", self.ask),
            Route("/avsluta/{token}", self.stop, methods=["POST"]),
            Route("/avsluta/{token}/angra", self.undo, methods=["POST"]),
            Route("/avsluta/{token}/angra", self.back),
        ]

    async def ask(self, request: Request) -> Response:
        """What can be stopped, and what is. 422 for a POST that said neither: whoever reads no pages shall not take it
        for done.
        """
        number = self._number(request)
        carried = await self._carried(number)
        offered = stops.offered(carried)
        async with self._portal.database.transaction() as connection:
            done = await stops.stopped(connection, number, offered)
        if ALL.value in done:
            return self._page(request, "stopped.html", carried, stop=ALL)
        status = 422 if request.method == "POST" else 200
        return self._page(request, "stop.html", carried, status=status, offered=offered, done=done)

    async def stop(self, request: Request) -> Response:
        """Stops. One-click is answered without a page, and without being led elsewhere (RFC 8058 §3.1)."""
        number, given = self._number(request), await fields(request)
        one_click = given.get(ONE_CLICK[0], "").strip() == ONE_CLICK[1]
        carried = await self._carried_or_none(number)
        chosen = ALL if one_click else _chosen(given.get("omfattning", ""), stops.offered(carried))
        if chosen is None:
            return await self.ask(request)
        try:
            await self._portal.publish([stops.suppression(self._portal, carried, number, chosen)])
        except Transient as error:
            logger().error("stop not published", error=type(error).__name__)
            if one_click:
                return PlainTextResponse("", 503, headers={"Retry-After": "60"})
            return self._page(request, "not_stopped.html", carried, status=503, stop=chosen)
        await self._tell(carried, chosen)
        return PlainTextResponse("") if one_click else self._page(request, "stopped.html", carried, stop=chosen)

    async def undo(self, request: Request) -> Response:
        """Lifts what was stopped at this message, and nothing else."""
        number, given = self._number(request), await fields(request)
        carried = await self._carried_or_none(number)
        chosen = _chosen(given.get("omfattning", ""), stops.offered(carried))
        if chosen is None:
            return await self.ask(request)
        try:
            await self._portal.publish([stops.suppression(self._portal, carried, number, chosen, lifted=True)])
        except Transient as error:
            logger().error("stop not lifted", error=type(error).__name__)
            return self._page(request, "not_stopped.html", carried, status=503, stop=chosen, undoing=True)
        return self._page(request, "lifted.html", carried, stop=chosen)

    async def back(self, request: Request) -> Response:
        """The undo button's address, opened without its form."""
        self._number(request)
        return redirect(self._portal, request, f"/avsluta/{request.path_params['token']}")

    async def _tell(self, carried: Carried | None, stop: Stop) -> None:
        """A notice to the owner. What was stopped is stopped, whether this can be written down or not."""
        notice = stops.notice(self._portal, carried, stop) if carried else None
        if notice is None:
            return
        try:
            async with self._portal.database.transaction() as connection:
                await self._portal.outbox.put(connection, [notice])
            self._portal.wake()
        except Transient as error:
            logger().error("notice of a stop not written", error=type(error).__name__)

    def _number(self, request: Request) -> int:
        number = verify(request.path_params["token"], self._portal.token_keys, Purpose.STOP)
        if number is None:
            raise HTTPException(404)
        return number

    async def _carried(self, number: int) -> Carried | None:
        async with self._portal.database.transaction() as connection:
            return await invited.carried(connection, number, self._portal.clock.now())

    async def _carried_or_none(self, number: int) -> Carried | None:
        """Stopping everything needs nothing of the store, so that it works when the store does not."""
        try:
            return await self._carried(number)
        except Transient:
            return None

    def _page(
        self, request: Request, template: str, carried: Carried | None, *, status: int = 200, **values: Any
    ) -> Response:
        names = dict.fromkeys(item.name for item in carried.invited if item.name) if carried else {}
        known: dict[str, Any] = {"undoing": False} | values
        return page(
            self._portal, request, template, status=status, names=tuple(names),
            token=request.path_params["token"], **known,
        )  # fmt: skip


def _chosen(value: str, offered: tuple[Stop, ...]) -> Stop | None:
    return next((stop for stop in offered if stop.value == value), None)


def routes(portal: Portal) -> list[BaseRoute]:
    """Their routes."""
    return StopPages(portal).routes()
