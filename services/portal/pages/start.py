"""The start page: the dialogues that are open now."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from services.portal.pages.render import page
from services.portal.portal import Portal


def routes(portal: Portal) -> list[BaseRoute]:
    """Its routes."""

    async def start(request: Request) -> Response:
        return page(portal, request, "start.html")

    return [Route("/", start)]
