"""The pages that people see: routes to handlers, and what is shown when something is not there or went wrong."""

from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles

from services.portal.pages import case, code, invitation, start, stop, subscribe
from services.portal.pages.failures import failures
from services.portal.pages.render import STATIC
from services.portal.portal import Portal

__all__ = ["failures", "routes"]


def routes(portal: Portal) -> list[BaseRoute]:
    """Every page; each module has its own."""
    return [
        *start.routes(portal),
        *invitation.routes(portal),
        *code.routes(portal),
        *stop.routes(portal),
        *case.routes(portal),
        *subscribe.routes(portal),
        Mount("/static", _Static(directory=STATIC)),
    ]


class _Static(StaticFiles):
    """Our own files. Their address changes with their content, so that they may be kept for a year."""

    def file_response(self, *args: object, **kwargs: object) -> object:  # type: ignore[override]
        response = super().file_response(*args, **kwargs)  # type: ignore[arg-type]
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response
