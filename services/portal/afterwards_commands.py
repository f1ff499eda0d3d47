"""`nardialog case remind|feedback|correct`: what officials have said to those who were asked, after they were asked."""

import asyncio
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from services.portal.commands import Flag, case, permitted, settings_now, show_rounds
from services.runtime.terminal import failed, usage

if TYPE_CHECKING:  # help must not wait for pydantic and Kafka's client
    from pydantic import ValidationError

    from schemas.round import Outcome
    from services.portal.case_settings import CaseSettings

__all__ = ["case"]

Named = Annotated[str, Parameter(name="CASE")]
OfRound = Annotated[str | None, Parameter(name="--round")]


@case.command
def remind(
    case_: Named,
    /,
    *,
    round_: OfRound = None,
    reason: str = "",
    by: str = "nardialog case remind",
    yes: Flag = False,
) -> int:
    """Remind those who have not answered now, and not when the plan says. Nobody is reminded twice.

    Parameters
    ----------
    case_
        The case's key, municipality/source/case id, or its id where only one case has it.
    round_
        The round, where the case has several that are open.
    reason
        Why: kept with the decision.
    by
        Who decides: a role or function, not a person.
    yes
        Do not ask. Needed without a terminal.
    """
    return asyncio.run(_remind(case_, settings_now(), round_, by=by, reason=reason, yes=yes))


async def _remind(
    asked: str, settings: "CaseSettings", round_id: str | None, *, by: str, reason: str, yes: bool
) -> int:
    from schemas.round import Purpose, RoundState
    from services.portal import case_orders
    from services.portal.case_desk import Desk

    async with Desk(settings) as desk:
        found = desk.one_round(asked, round_id, {RoundState.OPEN}, "open and asks", only={Purpose.ASK})
        if found.respond_by is None or (found.expires_at is not None and found.expires_at <= desk.now()):
            return failed(f"{found.case_key}: nobody can answer any more, so there is nothing to remind of")
        if found.remind_at is not None and found.remind_at <= desk.now():
            return failed(f"{found.case_key}: was reminded of on {found.remind_at:%Y-%m-%d}; nobody is reminded twice")
        show_rounds([found])
        question = f"Remind those of {found.counts.invitations} recipient(s) who have not answered?"
        if (refused := permitted(question, yes)) is not None:
            return refused
        decided = case_orders.reminded(found, desk.book.decisions.get(found.case_key), desk.now(), by=by, reason=reason)
        done = f"{found.case_key}: those who have not answered are reminded"
        return await desk.decide(decided, case_orders.release(decided, settings.kafka, desk.now()), done)


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
    by: str = "nardialog case feedback",
    yes: Flag = False,
) -> int:
    """Tell those who were asked what came of it. `case undo` takes it back until it has left.

    Parameters
    ----------
    case_
        The case's key, municipality/source/case id, or its id where only one case has it.
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
    round_
        The round, where the case has several that asked.
    by
        Who decides: a role or function, not a person.
    yes
        Do not ask. Needed without a terminal.
    """
    from pydantic import ValidationError

    from schemas.round import Outcome

    try:
        outcome = Outcome(
            said=said, taken=taken, not_taken=not_taken,
            said_en=said_en, taken_en=taken_en, not_taken_en=not_taken_en,
        )  # fmt: skip
    except ValidationError as error:
        return usage(_shorter(error))
    if not outcome.has_words:
        return usage("say --said, --taken or --not-taken")
    return asyncio.run(_feedback(case_, settings_now(), round_, outcome, by=by, yes=yes))


async def _feedback(
    asked: str, settings: "CaseSettings", round_id: str | None, outcome: "Outcome", *, by: str, yes: bool
) -> int:
    from schemas.dialogue import FEEDBACK
    from schemas.round import Purpose, RoundState
    from services.portal import case_orders
    from services.portal.case_desk import Desk

    async with Desk(settings) as desk:
        found = desk.one_round(asked, round_id, case_orders.TOLD, "open or closed and asked", only={Purpose.ASK})
        so_far = desk.book.decisions.get(found.case_key)
        rounds = desk.book.of_case(found.case_key)
        given = [item for item in rounds if item.purpose is Purpose.FEEDBACK and item.follows == found.round_id]
        if so_far and len(so_far.on(FEEDBACK, found.round_id)) > sum(item.state is RoundState.HELD for item in given):
            ids = ", ".join(item.round_id for item in given) or "which the matcher has not made yet"
            return failed(
                f"{found.case_key}: was told already by round {ids}; "
                "take it back with `case undo --round`, or correct it with `case correct --round`"
            )
        show_rounds([found])
        if (refused := permitted(f"Tell {found.counts.invitations} recipient(s) what came of it?", yes)) is not None:
            return refused
        decided = case_orders.fed_back(found, so_far, desk.now(), by=by, outcome=outcome)
        done = f"{found.case_key}: those who were asked are told what came of it"
        return await desk.decide(decided, case_orders.release(decided, settings.kafka, desk.now()), done)


@case.command
def correct(
    case_: Named,
    /,
    *,
    text: str,
    text_en: str = "",
    round_: OfRound = None,
    by: str = "nardialog case correct",
    yes: Flag = False,
) -> int:
    """Tell exactly those who got a round's message what was wrong in it. Correct the case too, for those still to come.

    Parameters
    ----------
    case_
        The case's key, municipality/source/case id, or its id where only one case has it.
    text
        What was wrong, and what is right.
    text_en
        The same in English; left out, the Swedish text is shown.
    round_
        The round, where the case has several that sent messages.
    by
        Who decides: a role or function, not a person.
    yes
        Do not ask. Needed without a terminal.
    """
    return asyncio.run(_correct(case_, settings_now(), round_, text, text_en, by=by, yes=yes))


async def _correct(
    asked: str, settings: "CaseSettings", round_id: str | None, text: str, text_en: str, *, by: str, yes: bool
) -> int:
    from pydantic import ValidationError

    from schemas.round import Purpose
    from services.portal import case_orders
    from services.portal.case_desk import Desk

    if not text.strip():
        return usage("say what was wrong and what is right, with --text")
    async with Desk(settings) as desk:
        of = {*case_orders.MATCHED, Purpose.FEEDBACK}
        found = desk.one_round(asked, round_id, case_orders.TOLD, "open or closed", only=of)
        show_rounds([found])
        question = f"Tell those of {found.counts.invitations} recipient(s) whom its message reached?"
        if (refused := permitted(question, yes)) is not None:
            return refused
        so_far = desk.book.decisions.get(found.case_key)
        try:
            decided = case_orders.corrected(found, so_far, desk.now(), by=by, text=text, text_en=text_en)
        except ValidationError as error:
            return failed(_shorter(error))
        done = f"{found.case_key}: those who got the message are told what was wrong in it"
        return await desk.decide(decided, case_orders.release(decided, settings.kafka, desk.now()), done)


def _shorter(error: "ValidationError") -> str:
    """Which text cannot be taken, and why."""
    first = error.errors(include_input=False, include_url=False)[0]
    return f"--{str(first['loc'][-1]).replace('_', '-')}: {first['msg']}"
