"""The public page of a case, by its id or its diary number."""

import re
from urllib.parse import quote

from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from schemas.case import Case
from schemas.model import DialogueModel, Stage
from services.portal import public
from services.portal.pages.render import page, redirect
from services.portal.portal import Portal
from services.rendering import outcome

FEW = 5
"""Fewer answers than this are not counted in public."""


def routes(portal: Portal) -> list[BaseRoute]:
    """Its route. A diary number has a slash in it."""

    async def case(request: Request) -> Response:
        reference, source = request.path_params["reference"], request.query_params.get("kalla", "")
        async with portal.database.transaction() as connection:
            found = await public.find_cases(connection, reference, source)
            meant = "" if found else await _meant(connection, reference, source)
            shown = await public.with_rounds(connection, found[0], portal.clock.now()) if len(found) == 1 else None
        if shown is not None:
            stages = _stages(portal.model, shown.case)
            return page(portal, request, "case.html", shown=shown, stages=stages, few=FEW, outcome=outcome)
        if found:
            return page(portal, request, "cases.html", cases=found)
        if meant:
            return redirect(portal, request, f"/arenden/{quote(meant)}")
        return page(portal, request, "no_case.html", status=404)

    return [Route("/arenden/{reference:path}", case)]


async def _meant(connection: AsyncConnection, reference: str, source: str) -> str:
    """The reference of a case that was taken with what stood after it in a text: a full stop, a bracket, a slash."""
    bare = re.sub(r"[\W_]+$", "", reference)
    known = bare != reference and await public.find_cases(connection, bare, source)
    return bare if known else ""


def _stages(model: DialogueModel, case: Case) -> list[Stage]:
    """The stages that a case of this type goes through."""
    return next((kind.stages for kind in model.case_types if kind.id == case.case_type), [])
