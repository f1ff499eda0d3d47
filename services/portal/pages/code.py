"""Where the code in a letter on paper is typed: it leads to the same answer page as the letter's QR."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from services.portal.pages.render import fields, page, redirect
from services.portal.portal import Portal
from services.runtime.letter_codes import opened
from services.runtime.link_tokens import Purpose, mint

FIELD: Final = "kod"
_LONGEST: Final = 40


def routes(portal: Portal) -> list[BaseRoute]:
    """Its routes. Nothing is changed by a code: it is a link that is typed."""

    async def ask(request: Request) -> Response:
        return page(portal, request, "code.html", wrong=False, typed="")

    async def lead(request: Request) -> Response:
        typed = (await fields(request)).get(FIELD, "")[:_LONGEST]
        found = opened(typed, portal.settings.portal.keys())
        if found is None:
            return page(portal, request, "code.html", status=422, wrong=True, typed=typed)
        return redirect(portal, request, f"/i/{mint(*found, Purpose.ANSWER)}")

    return [Route("/kod", ask), Route("/kod", lead, methods=["POST"])]
