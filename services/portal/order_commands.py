"""`nardialog case release|undo|remind|feedback|correct|add|remove|unlist`: what officials decide about a round.

Each shows the round, asks, and decides; what it may be about and what follows is `orders`' to know.
"""

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from services.portal.commands import Flag, case, permitted, settings_now, show_rounds
from services.runtime.terminal import OK, failed, say, usage

if TYPE_CHECKING:  # help must not wait for pydantic and Kafka's client
    from services.portal.case_settings import CaseSettings
    from services.portal.orders import Order

__all__ = ["case"]

Named = Annotated[
    str,
    Parameter(name="CASE", help="The case's key, municipality/source/case id, or its id where only one case has it."),
]
OfRound = Annotated[str | None, Parameter(name="--round", help="The round, where the case has several it may be.")]
Why = Annotated[str, Parameter(help="Why: kept with the decision.")]
By = Annotated[str, Parameter(help="Who decides: a role or function, not a person. The command's name, if left out.")]
Yes = Annotated[Flag, Parameter(help="Do not ask. Needed without a terminal.")]
Workplaces = Annotated[str, Parameter(help="The workplaces' ids in the register.")]


@case.command
def release(case_: Named, /, *, round_: OfRound = None, reason: Why = "", by: By = "", yes: Yes = False) -> int:
    """Release a held round: it may be sent, to exactly the recipients that are shown."""
    return _carry_out("release", case_, yes, round_id=round_, reason=reason, by=by)


@case.command
def undo(case_: Named, /, *, round_: OfRound = None, reason: Why = "", by: By = "", yes: Yes = False) -> int:
    """Take a round back to held: what has not left does not leave, until the next release."""
    return _carry_out("undo", case_, yes, round_id=round_, reason=reason, by=by)


@case.command
def remind(case_: Named, /, *, round_: OfRound = None, reason: Why = "", by: By = "", yes: Yes = False) -> int:
    """Remind those who have not answered now, and not when the plan says. Nobody is reminded twice."""
    return _carry_out("remind", case_, yes, round_id=round_, reason=reason, by=by)


@case.command
def feedback(
    case_: Named,
    /,
    *,
    said: str = "",
    taken: str = "",
    not_taken: str = "",
    said_en: str = "",
    taken_en: str = "",
    not_taken_en: str = "",
    round_: OfRound = None,
    by: By = "",
    yes: Yes = False,
) -> int:
    """Tell those who were asked what came of it. `case undo` takes it back until it has left.

    Parameters
    ----------
    said
        What businesses said. No names: everybody who was asked reads it.
    taken
        What the municipality takes with it.
    not_taken
        What could not be met, and why.
    said_en
        The same in English; left out, the Swedish text is shown.
    taken_en
        The same in English.
    not_taken_en
        The same in English.
    """
    from pydantic import ValidationError

    from schemas.round import Outcome

    try:
        outcome = Outcome(
            said=said, taken=taken, not_taken=not_taken,
            said_en=said_en, taken_en=taken_en, not_taken_en=not_taken_en,
        )  # fmt: skip
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        return usage(f"--{str(first['loc'][-1]).replace('_', '-')}: {first['msg']}")
    if not outcome.has_words:
        return usage("say --said, --taken or --not-taken")
    return _carry_out("feedback", case_, yes, round_id=round_, by=by, outcome=outcome)


@case.command
def correct(
    case_: Named, /, *, text: str, text_en: str = "", round_: OfRound = None, by: By = "", yes: Yes = False
) -> int:
    """Tell exactly those who got a round's message what was wrong in it. Correct the case too, for those still to come.

    Parameters
    ----------
    text
        What was wrong, and what is right.
    text_en
        The same in English; left out, the Swedish text is shown.
    """
    if not text.strip():
        return usage("say what was wrong and what is right, with --text")
    return _carry_out("correct", case_, yes, round_id=round_, by=by, text=text, text_en=text_en)


@case.command
def add(case_: Named, /, *workplaces: Workplaces, reason: Why, round_: OfRound = None, by: By = "") -> int:
    """Add workplaces to a round whatever the rings say, unless they are closed or the applicant's own."""
    return _list("add", case_, workplaces, round_id=round_, reason=reason, by=by)


@case.command
def remove(case_: Named, /, *workplaces: Workplaces, reason: Why, round_: OfRound = None, by: By = "") -> int:
    """Take workplaces out of a round whatever the rings say. Who got the first message is told once."""
    return _list("remove", case_, workplaces, round_id=round_, reason=reason, by=by)


@case.command
def unlist(case_: Named, /, *workplaces: Workplaces, reason: Why = "", round_: OfRound = None, by: By = "") -> int:
    """Leave workplaces to the rings again that were added or removed."""
    return _list("unlist", case_, workplaces, round_id=round_, reason=reason, by=by)


def _list(kind: str, case_: str, workplaces: tuple[str, ...], **ordered: Any) -> int:
    if not workplaces:
        return usage("say which workplaces, by their ids in the register")
    return _carry_out(kind, case_, yes=True, workplaces=workplaces, **ordered)


def _carry_out(kind: str, case_: str, yes: bool, *, by: str, **ordered: Any) -> int:
    from services.portal.orders import Order

    order = Order(kind, by or f"nardialog case {kind}", **ordered)
    return asyncio.run(_decide(case_, settings_now(), order, yes=yes))


async def _decide(asked: str, settings: "CaseSettings", order: "Order", *, yes: bool) -> int:
    from services.portal.case_desk import Desk
    from services.portal.orders import prepared

    async with Desk(settings) as desk:
        made = prepared(order, desk.matter(asked), settings.kafka, desk.now())
        if made.question:
            show_rounds([made.round])
            if made.round.reason:
                say(f"{made.round.state.value}: {made.round.reason}: {made.round.detail}")
            if (refused := permitted(made.question, yes)) is not None:
                return refused
        await desk.publish(made.steps)
        if not await desk.stands(made.decided):
            return failed(f"{made.decided.key}: somebody decided on it at the same moment; look again with `case list`")
        say(f"{made.done} (decision {made.decided.number})")
    return OK
