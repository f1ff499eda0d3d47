"""What cannot be, as problem documents (RFC 9457): what, why, what to do, and where, never quoting what was sent."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi_problem.error import Problem
from fastapi_problem.handler import ExceptionHandler, add_exception_handler, new_exception_handler
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from schemas.complaints import Complaint, advice
from services.runtime.errors import Transient

MEDIA_TYPE: Final = "application/problem+json"
TYPES: Final = "urn:nardialog:problem:{type}"
RETRY_AFTER: Final = 10
"""Seconds after which a case system may try again when the broker or the store is away."""


class Fault(BaseModel):
    """One fault of what was sent."""

    pointer: str = Field(description="JSON pointer (RFC 6901) into what was sent; empty for the whole.")
    code: str = Field(description="A stable code.")
    detail: str = Field(description="What is wrong and what to do.")


class ProblemDocument(BaseModel):
    """RFC 9457."""

    type: str = Field(description="What kind of problem: urn:nardialog:problem:…")
    title: str
    status: int = Field(ge=400, le=599)
    detail: str | None = None
    errors: list[Fault] | None = Field(None, description="Of 400, 403 and 422: every fault that was found.")
    current_version: int | None = Field(None, description="Of 409: the version that is known.")


class Unforeseen(Problem):
    """An error that nobody foresaw. Its text may quote what was sent, so it is not told."""

    def __init__(self, _: str = "", **__: Any) -> None:
        super().__init__(
            "Something went wrong here", "unforeseen", "It was not your request's fault; try again later.", 500
        )


def problem(
    status: int,
    kind: str,
    title: str,
    detail: str,
    *,
    faults: Iterable[Complaint] = (),
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> Problem:
    """A problem to raise."""
    errors = [{"pointer": item.pointer, "code": item.code, "detail": item.detail} for item in faults]
    extras = {**more, **({"errors": errors} if errors else {})}
    return Problem(title, kind, detail, status, dict(headers or {}), **extras)


def answer(what: Problem) -> Response:
    """A problem as an answer, where it cannot be raised: outside of the API's own routes."""
    return JSONResponse(what.marshal(uri=TYPES), what.status, what.headers, MEDIA_TYPE)


def plain(status: int, headers: Mapping[str, str] | None = None) -> Problem:
    """A problem that its status says."""
    title = HTTPStatus(status).phrase
    kind = title.lower().replace(" ", "-")
    return problem(status, kind, title, "See the OpenAPI document for what there is.", headers=headers)


def too_large(detail: str) -> Problem:
    """What is too large."""
    return problem(413, "too-large", "Too large", f"{detail} Make it smaller; simplify the geometries.")


def handle(api: FastAPI) -> None:
    """Every answer of this API that is not a success is a problem document."""
    handler = new_exception_handler(
        unhandled_wrappers={"default": Unforeseen},  # type: ignore[dict-item]
        handlers={Transient: _away},
        documentation_uri_template=TYPES,
        http_exception_handler=_plain,
        request_validation_handler=_parameters,
    )
    add_exception_handler(api, handler, generic_swagger_defaults=False)
    api.add_exception_handler(Transient, handler)


def _away(_: ExceptionHandler, __: Request, ___: Exception) -> Problem:
    return problem(
        503,
        "try-again",
        "Not now",
        "The broker or the store did not answer; nothing was accepted. Send the same again.",
        headers={"Retry-After": str(RETRY_AFTER)},
    )


def _plain(_: ExceptionHandler, __: Request, error: Exception) -> Problem:
    if not isinstance(error, HTTPException):
        return Unforeseen()
    return plain(error.status_code, error.headers)


def _parameters(_: ExceptionHandler, __: Request, error: Exception) -> Problem:
    found = error.errors() if isinstance(error, RequestValidationError) else []
    names = ", ".join(sorted({f"{item['loc'][0]} {item['loc'][-1]}" for item in found}))
    return problem(
        422, "bad-parameter", "A parameter is not valid", f"Correct {names}: see the OpenAPI document.",
        faults=[Complaint("bad_parameter", f"{item['loc'][-1]}: {advice(item)}") for item in found],
    )  # fmt: skip
