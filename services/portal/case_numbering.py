"""Which version an imported case is, where its source numbers none, or numbers by its own rules.

What a file says of a case depends on the file and on how it is read: another mapping makes another case of the same
state of the source. So the version is derived from what was sent before: the same content is *unchanged*, another
content is the next version. Where the source numbers its states, the thousands are its number (state 3 is version 3000,
and 3001 if it is read with other content), so that an older file is seen to be older.
"""

from dataclasses import replace
from typing import Final

from schemas.case import Case, CaseState
from schemas.complaints import Complaint
from services.portal.case_orders import Standing, content_hash, refusal, standing

READINGS: Final = 1000
"""How many times one state of a source may be read with other content before it runs into the next."""
HIGHEST_STATE: Final = 1_000_000
WITHDRAWN: Final = Complaint(
    "withdrawn",
    "the case was withdrawn, and a file does not open it again: leave it out, or send it with `nardialog case submit`",
    "/state",
)


def numbered(case: Case, known: Case | None, numbered: int | None) -> Case | Complaint | None:
    """The case as it is to be sent; None where that is known already; or why it is not taken.

    `numbered` is None where the case bears its own version; else the source's number of its state, 0 for none.
    """
    if numbered is None:
        return _own(case, known)
    if numbered > HIGHEST_STATE:
        return Complaint("wrong_shape", f"the source's number of the state is over {HIGHEST_STATE}", "/version")
    first = numbered * READINGS or 1
    if known is None:
        return case.model_copy(update={"version": first})
    if 0 < numbered < known.version // READINGS:
        said = refusal(Standing.STALE, first, known.version)
        return replace(said, detail=f"an older state than version {known.version}, which is known; import a newer file")
    if case.state is not CaseState.OPEN:  # what ends a case ends it where it is
        case = case.model_copy(update={"stage": known.stage, "occurrence": known.occurrence})
    if known.state is CaseState.WITHDRAWN and case.state is CaseState.OPEN:
        return WITHDRAWN
    if content_hash(case.model_copy(update={"version": known.version})) == content_hash(known):
        return None
    return case.model_copy(update={"version": max(known.version + 1, first)})


def _own(case: Case, known: Case | None) -> Case | Complaint | None:
    what = standing(case, known.version if known else 0, content_hash(known) if known else "")
    if what is Standing.KNOWN:
        return None
    return case if what is Standing.NEW else refusal(what, case.version, known.version if known else 0)
