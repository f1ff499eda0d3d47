"""`nardialog deliveries`: what became of messages, from the notifier's ledger. Heavy imports wait for a command."""

import getpass
import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from cyclopts import App, Parameter

from services.runtime.terminal import OK, Limit, printable, say, show, usage

if TYPE_CHECKING:
    from services.notifier.ledger.lookup import Found
    from services.notifier.ledger.steps import Step

deliveries = App(name="deliveries", help="What became of messages, from the notifier's ledger.")

Json = Annotated[bool, Parameter(name="--json", negative="")]
LISTED: Final = ("id", "kind", "channel", "state", "reason", "attempts", "since")
IN_JSON: Final = (
    "message_id", "number", "invitation_id", "round_id", "kind", "channel", "state", "reason", "attempts", "since",
)  # fmt: skip
STEPS: Final = ("at", "state", "reason", "detail", "attempt", "about")


@deliveries.command(name="list")
async def list_deliveries(
    *,
    case: str | None = None,
    round_: Annotated[str | None, Parameter(name="--round")] = None,
    state: str | None = None,
    channel: Literal["email", "sms", "letter"] | None = None,
    limit: Limit = 50,
    json_: Json = False,
) -> int:
    """Messages, and invitations that led to none; the newest first. No addresses are shown.

    Parameters
    ----------
    case
        Only of this case: its key, municipality/source/case id, or its id where only one case has it.
    round_
        Only of this round.
    state
        Only in this state, such as sent, unknown, temporary-failure, permanent-failure, technical-failure, expired,
        suppressed, "not reachable".
    channel
        Only by this channel.
    limit
        At most so many.
    json_
        One JSON object a line.
    """
    from services.notifier.ledger import lookup
    from services.notifier.ledger.opened import opened_ledger
    from services.notifier.policy.field_words import KNOWN

    if state is not None and state not in KNOWN:
        return usage(f"--state: no message is ever '{state}'; use one of {', '.join(sorted(KNOWN))}")
    async with opened_ledger() as database, database.transaction() as connection:
        rounds = [round_] if round_ else None
        if case is not None:
            of_case = [found.round_id for found in await lookup.rounds_of(connection, case)]
            rounds = [one for one in of_case if round_ in (None, one)]
        found = await lookup.listed(connection, lookup.Filters(rounds, state, channel, limit))
    rows = [
        {
            **asdict(item),
            "id": item.message_id or item.invitation_id,
            "kind": item.kind or "invitation",
            "reason": item.reason or None,
            "since": _time(item.since),
        }
        for item in found
    ]
    if not found:
        say("none: nothing was admitted yet, or nothing is so")
    columns = IN_JSON if json_ else LISTED
    show(columns, [[row[name] for name in columns] for row in rows], as_json=json_)
    return OK


@deliveries.command(name="show")
async def show_delivery(asked: str, /, *, json_: Json = False) -> int:
    """A message or an invitation: what became of it, step by step, with times and reasons. No address is shown.

    Parameters
    ----------
    asked
        A message's id or number, or an invitation's id, as `deliveries list` shows them.
    json_
        One JSON object.
    """
    from services.notifier.ledger import lookup
    from services.notifier.ledger.opened import opened_ledger

    async with opened_ledger() as database, database.transaction() as connection:
        found = await lookup.find(connection, asked)
    messages, invitations = _messages(found), _invitations(found)
    steps = [_step(step) for step in found.steps]
    if json_:
        print(json.dumps({"messages": messages, "invitations": invitations, "steps": steps}, ensure_ascii=False))
        return OK
    for item in (*messages, *invitations):
        for name, value in item.items():
            print(f"{name}: {printable(str('–' if value is None else value))}")
        print()
    show(STEPS, [[step[name] for name in STEPS] for step in steps])
    return OK


@deliveries.command
async def retry(message_id: str, /, *, because: str, by: str | None = None) -> int:
    """Send a message again that failed for a technical reason, before its last day. It is written anew.

    Parameters
    ----------
    message_id
        As `deliveries list --state technical-failure` shows it.
    because
        Why, in a few words: kept with the message.
    by
        Who does it; without it, the user of this computer.
    """
    from services.notifier.ledger.opened import opened_ledger
    from services.notifier.ledger.second_try import try_again
    from services.notifier.settings import NotifierSettings
    from services.runtime.clock import SystemClock
    from services.runtime.impersonal import impersonal
    from services.runtime.settings import load

    try:
        reason, who = impersonal(because.strip())[:200], impersonal(getpass.getuser() if by is None else by)[:200]
    except ValueError as error:
        return usage(f"--because or --by {error}")
    if not reason:
        return usage("--because is empty: say why, it is kept with the message")
    windows = load(NotifierSettings).notifier.windows
    async with opened_ledger() as database, database.transaction() as connection:
        due = await try_again(connection, message_id, SystemClock().now(), windows, by=who, because=reason)
    say(f"{message_id} leaves at {_time(due)}, unless something keeps it")
    return OK


def _messages(found: "Found") -> list[dict[str, Any]]:
    from services.notifier.policy.field_words import word
    from services.runtime.store.database import moment_of

    return [
        {
            "message_id": row.message_id,
            "number": row.number,
            "round_id": row.round_id,
            "kind": row.kind,
            "channel": row.channel,
            "language": row.language,
            "state": word(row.state, row.code),
            "reason": row.code or None,
            "attempts": row.attempts,
            "unknowns": row.unknowns,
            "resent_unknown": row.resent_unknown,
            "provider_ref": row.provider_ref or None,
            "template_version": row.template_version or None,
            "created_at": _time(moment_of(row.created_at)),
            "due": _time(moment_of(row.due)),
            "expires_at": _time(moment_of(row.expires_at)),
        }
        for row in found.messages
    ]


def _invitations(found: "Found") -> list[dict[str, Any]]:
    from services.notifier.policy.field_words import word
    from services.runtime.store.database import moment_of

    return [
        {
            "invitation_id": row.invitation_id,
            "round_id": row.round_id,
            "recipient_id": row.recipient_id,
            "revision": row.revision,
            "state": word(row.state, ""),
            "admitted_at": _time(moment_of(row.admitted_at)),
            "expires_at": _time(moment_of(row.expires_at)),
        }
        for row in found.invitations
    ]


def _step(step: "Step") -> dict[str, Any]:
    from services.notifier.policy.field_words import word

    return {
        "at": _time(step.at),
        "state": word(step.state, step.code),
        "reason": step.code,
        "detail": step.detail or None,
        "attempt": step.attempt,
        "about": step.about,
    }


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")
