"""Where the code in a letter on paper is typed: it leads to the same answer page as the letter's QR."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from services.portal.guesses import Guesses
from services.portal.pages.render import fields, page, redirect
from services.portal.portal import Portal
from services.runtime.letter_codes import opened
from services.runtime.link_tokens import Purpose, mint

FIELD: Final = "kod"
_LONGEST: Final = 40


def routes(portal: Portal) -> list[BaseRoute]:
    """Its routes. Nothing is changed by a code: it is a link that is typed."""

    guesses = Guesses()

    async def ask(request: Request) -> Response:
        return page(portal, request, "code.html", fault="", typed="")

    async def lead(request: Request) -> Response:
        typed = (await fields(request)).get(FIELD, "")[:_LONGEST]
        if wait := guesses.wait(portal.clock.now()):
            shown = page(portal, request, "code.html", status=429, fault="code_wait", typed=typed)
            shown.headers["Retry-After"] = str(wait)
            return shown
        found = opened(typed, portal.settings.portal.keys())
        if found is None:
            guesses.wrong(portal.clock.now())
            return page(portal, request, "code.html", status=422, fault="code_wrong", typed=typed)
        return redirect(portal, request, f"/i/{mint(*found, Purpose.ANSWER)}")

    return [Route("/kod", ask), Route("/kod", lead, methods=["POST"])]
