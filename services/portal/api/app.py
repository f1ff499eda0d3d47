"""The HTTP door for case systems, mounted at `/api/v1`; its description is `/api/v1/openapi.json`."""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.types import ASGIApp, Receive, Scope, Send

from schemas.case import Case
from schemas.types import MAX_VERTICES
from services.portal.api import orders, problems
from services.portal.api.problems import ProblemDocument
from services.portal.api.routes import router
from services.portal.portal import Portal
from services.runtime.logs import logger

ABOUT: Final = """\
For case systems: send cases, check them, see how they stand, say what officials decide. A case is sent in its full
state with its version; the broker has what was sent when the answer is 202. What is refused is told with all its faults
at once, and never quoted.
"""
_COMPONENT: Final = "#/components/schemas/{model}"


def build(portal: Portal) -> ASGIApp:
    """The API for one portal."""
    api = FastAPI(
        title="Närdialog", version="1", description=ABOUT, docs_url=None, redoc_url=None, redirect_slashes=False
    )
    api.state.portal = portal
    api.state.model = portal.settings.model.load()
    api.state.orders = orders.Orders(portal)
    api.include_router(router)
    api.include_router(orders.router)
    problems.handle(api)
    described: dict[str, Any] = {}

    def openapi() -> dict[str, Any]:
        if not described:
            described.update(_described(api, portal.settings.portal.case_vertices))
        return described

    api.openapi = openapi  # type: ignore[method-assign]
    return _Contained(api)


def _described(api: FastAPI, most_vertices: int) -> dict[str, Any]:
    """The OpenAPI document, with the contract's own schema of a case and this door's own limit on vertices."""
    document = get_openapi(title=api.title, version=api.version, description=api.description, routes=api.routes)
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for model in (Case, orders.Ordering, ProblemDocument):
        schema = model.model_json_schema(ref_template=_COMPONENT)
        schemas |= schema.pop("$defs", {})
        schemas[model.__name__] = schema
    _narrow(schemas, MAX_VERTICES, most_vertices)
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    return document


def _narrow(schema: Any, limit: int, narrower: int) -> None:
    """Writes a narrower limit wherever lists had this one."""
    for part in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        _narrow(part, limit, narrower)
    if isinstance(schema, dict) and schema.get("maxItems") == limit:
        schema["maxItems"] = narrower


class _Contained:
    """An error that nobody foresaw has been answered when it comes here; its text may quote what was sent."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except Exception as error:
            logger().error("request failed", error=type(error).__name__)
