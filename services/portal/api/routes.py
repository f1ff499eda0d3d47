"""The routes: `POST /cases`, `POST /cases/validate`, `GET /cases/{case}`.

Refusals come in this order, each before the work that it saves: who calls (401, 403), what is sent (415, 413, 400),
whether it may be kept at all (403), what is wrong with it (422), whether the key speaks for its source (403), whether
it is new (409). Of a confidential case nothing is stored or logged, not even a hash.
"""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BaseModel, Field

from schemas.case import EXAMPLE, Case
from schemas.case_rules import Verdict, judge
from schemas.complaints import BROKEN_JSON
from schemas.model import DialogueModel
from services.portal.api import bodies
from services.portal.api.callers import caller, model_of, portal_of
from services.portal.api.problems import MEDIA_TYPE, problem, too_large
from services.portal.api.repeats import IdempotencyKey
from services.portal.api.standing import CaseStanding, standing_of
from services.portal.api.submissions import Submissions
from services.portal.api.taking import take
from services.portal.api_keys import ApiKey, Scope
from services.portal.portal import Portal

SAID: Final = {
    400: "Not whole JSON in UTF-8.",
    401: "No valid API key.",
    403: "The key may not do this, or the case is confidential and is not taken.",
    404: "No such case among those that the key covers.",
    409: "The version is known with other content, or a higher one is known.",
    413: "Too many bytes or vertices.",
    415: "Not application/json.",
    422: "The case breaks rules; all faults are listed. Or an Idempotency-Key stood for another request.",
    503: "The broker or the store is away; nothing was accepted. Try again.",
}
ON_RETRY: Final = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}, "required": True}}
ON_WHO: Final = {
    "WWW-Authenticate": {"description": "How to say who you are.", "schema": {"type": "string"}, "required": True}
}
ON_ACCEPTED: Final = {
    "Location": {"description": "Where the case's status is.", "schema": {"type": "string"}, "required": True}
}
BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "description": "A case's full state.",
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Case"}, "example": EXAMPLE}},
    }
}

router = APIRouter(prefix="/cases", tags=["cases"])


class Accepted(BaseModel):
    """The broker has the case."""

    case: str = Field(description="The case's key: municipality/source/case id.")
    version: int
    event_id: str = Field(description="The id of its event on the topic `cases`; the same state is the same event.")
    status_url: str = Field(description="Where its status is.")


class Valid(BaseModel):
    """The case keeps the rules."""

    case: str = Field(description="The case's key: municipality/source/case id.")
    version: int


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """How the refusals of a route are described."""
    headers = {401: ON_WHO, 503: ON_RETRY}
    return {
        status: {
            "description": SAID[status],
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}},
            **({"headers": headers[status]} if status in headers else {}),
        }
        for status in statuses
    }


@router.post(
    "",
    status_code=202,
    responses={
        202: {"description": "The broker has acknowledged it.", "headers": ON_ACCEPTED},
        **problems(400, 401, 403, 409, 413, 415, 422, 503),
    },
    openapi_extra=BODY,
)
async def submit_case(
    request: Request,
    response: Response,
    portal: Annotated[Portal, Depends(portal_of)],
    model: Annotated[DialogueModel, Depends(model_of)],
    key: Annotated[ApiKey, Depends(caller(Scope.WRITE))],
    idempotency_key: IdempotencyKey = None,
) -> Accepted:
    """Send a case's full state. The same version with the same content may be sent again at will."""
    taken = await take(
        request,
        response,
        portal,
        key,
        idempotency_key,
        most_bytes=portal.settings.portal.case_bytes,
        read=lambda body: _of_your_source(key, _judged(portal, model, body)),
        carry_out=Submissions(portal).take,
    )
    receipt = taken.receipt
    return Accepted(
        case=receipt.case_key, version=receipt.version, event_id=receipt.event_id, status_url=taken.status_url
    )


@router.post("/validate", responses=problems(400, 401, 403, 413, 415, 422, 503), openapi_extra=BODY)
async def validate_case(
    request: Request,
    portal: Annotated[Portal, Depends(portal_of)],
    model: Annotated[DialogueModel, Depends(model_of)],
    _: Annotated[ApiKey, Depends(caller(Scope.VALIDATE, Scope.WRITE))],
) -> Valid:
    """Ask whether a case keeps the rules. Nothing is stored."""
    case = _judged(portal, model, await bodies.read(request, most_bytes=portal.settings.portal.case_bytes))
    return Valid(case=case.key, version=case.version)


@router.api_route("/validate", methods=["GET", "HEAD", "PUT", "PATCH", "DELETE"], include_in_schema=False)
async def _only_posted() -> None:
    """Else the next route would take `validate` for a case."""
    raise problem(405, "method-not-allowed", "Method Not Allowed", "Send it by POST.", headers={"Allow": "POST"})


@router.get("/{case:path}", responses=problems(401, 403, 404, 422, 503))
async def case_status(
    case: Annotated[
        str,
        Path(
            max_length=210,
            pattern=r"^[^\x00-\x1f\x7f]*$",
            description="municipality/source/case id, or an id that is your only.",
        ),
    ],
    portal: Annotated[Portal, Depends(portal_of)],
    key: Annotated[ApiKey, Depends(caller(Scope.READ))],
) -> CaseStanding:
    """How a case stands. `case` is its key, municipality/source/case id, or an id that only one of your cases has."""
    async with portal.database.transaction() as connection:
        found = await standing_of(connection, case, key)
    if found is None:
        raise problem(
            404, "no-such-case", "No such case", "Ask for municipality/source/case id of a case that was sent."
        )
    return found


def _of_your_source(key: ApiKey, case: Case) -> Case:
    if not key.covers(case.municipality, case.source):
        raise problem(
            403, "not-your-source", "Not with this key", "The key does not speak for this source and municipality."
        )
    return case


def _judged(portal: Portal, model: DialogueModel, body: bytes) -> Case:
    """The case in a body. Raises a problem: 403, 400, 413, 422."""
    settings = portal.settings
    verdict = judge(body, model, anywhere=settings.matcher.allow_outside_sweden, most_bytes=settings.portal.case_bytes)
    if verdict.confidential:
        raise problem(403, "confidential", "Confidential", verdict.complaints[0].detail, faults=verdict.complaints)
    vertices, most = bodies.count_vertices(bodies.decoded(body)), settings.portal.case_vertices
    if vertices > most:
        raise too_large(f"The geometries have {vertices} vertices; at most {most} are taken.")
    if verdict.case is None:
        raise _refused(verdict)
    return verdict.case


def _refused(verdict: Verdict) -> Exception:
    if any(item.code == BROKEN_JSON for item in verdict.complaints):
        return bodies.broken()
    count = len(verdict.complaints)
    return problem(
        422, "invalid-case", "The case breaks rules", f"{count} fault(s): correct them and send it again.",
        faults=verdict.complaints,
    )  # fmt: skip
