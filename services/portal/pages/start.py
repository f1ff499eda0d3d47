"""The start page, with the dialogues that are open now, and the pages that every public site must have."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from services.portal import public
from services.portal.pages.render import language, page
from services.portal.portal import Portal


def routes(portal: Portal) -> list[BaseRoute]:
    """Their routes."""

    async def start(request: Request) -> Response:
        async with portal.database.transaction() as connection:
            cases = await public.open_rounds(connection, portal.clock.now())
        return page(portal, request, "start.html", cases=cases)

    async def personal_data(request: Request) -> Response:
        return page(portal, request, f"personal_data.{language(request)}.html")

    async def accessibility(request: Request) -> Response:
        return page(portal, request, f"accessibility.{language(request)}.html")

    return [
        Route("/", start),
        Route("/personuppgifter", personal_data),
        Route("/tillganglighet", accessibility),
    ]
