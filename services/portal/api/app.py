"""The API, mounted at `/api/v1`."""

from fastapi import FastAPI

from services.portal.portal import Portal


def build(portal: Portal) -> FastAPI:
    """The API for one portal."""
    api = FastAPI(title="Närdialog", version="1", docs_url=None, redoc_url=None)
    api.state.portal = portal
    return api
