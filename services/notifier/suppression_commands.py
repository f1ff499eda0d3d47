"""`nardialog suppressions`: whom nothing is sent to, and why; releasing one. Heavy imports wait for a command."""

import getpass
import sys
from typing import Annotated, Final, Literal

from cyclopts import App, Parameter

from services.runtime.terminal import OK, Limit, say, show, usage

suppressions = App(name="suppressions", help="Whom nothing is sent to, and why; releasing one.")

Json = Annotated[bool, Parameter(name="--json", negative="")]
Flag = Annotated[bool, Parameter(negative="")]
LISTED: Final = ("suppression_id", "kind", "scope", "of", "municipality", "reason", "by", "lifted", "since")


@suppressions.command(name="list")
async def list_suppressions(
    *,
    kind: Literal["stop", "bounce", "complaint", "erased", "undone", "withdrawn"] | None = None,
    email: Flag = False,
    phone: Flag = False,
    all_: Annotated[bool, Parameter(name="--all", negative="")] = False,
    limit: Limit = 50,
    json_: Json = False,
) -> int:
    """What is suppressed; the newest first. No addresses are shown, and none can be read out of the ids.

    Parameters
    ----------
    kind
        Only of this kind.
    email
        Only of one e-mail address, which is typed in, or read from standard input: it does not stay in any history.
    phone
        The same for a telephone number.
    all_
        Also those that were lifted.
    limit
        At most so many.
    json_
        One JSON object a line.
    """
    from services.notifier.ledger.lifting import Wanted, listed
    from services.notifier.ledger.opened import opened_ledger
    from services.runtime.errors import Rejected
    from services.runtime.store.database import moment_of

    if email and phone:
        return usage("--email or --phone, not both")
    try:
        index = _typed_index("email" if email else "sms") if email or phone else None
    except Rejected as error:
        return usage(error.detail)
    async with opened_ledger() as database, database.transaction() as connection:
        rows = await listed(connection, Wanted(index, kind, all_, limit))
    shown = [
        (
            row.suppression_id, row.kind, row.scope,
            row.case_key or row.case_type or row.subscription_id or row.round_id, row.municipality,
            row.reason or None, row.by or None, row.lifted, moment_of(row.at).isoformat(timespec="seconds"),
        )
        for row in rows
    ]  # fmt: skip
    show(LISTED, shown, as_json=json_)
    return OK


@suppressions.command
async def lift(suppression_id: str, /, *, because: str, by: str | None = None) -> int:
    """Release an address from a stop, a bounce or a complaint. What was not sent meanwhile is not sent later.

    Parameters
    ----------
    suppression_id
        As `suppressions list` shows it.
    because
        Why, in a few words: kept with it.
    by
        Who does it; without it, the user of this computer.
    """
    from services.notifier.ledger import lifting
    from services.notifier.ledger.events import Outbox, Topics
    from services.notifier.ledger.opened import opened_ledger
    from services.notifier.settings import NotifierSettings
    from services.runtime.clock import SystemClock
    from services.runtime.impersonal import impersonal
    from services.runtime.records import Unpublished
    from services.runtime.settings import load

    try:
        reason, who = impersonal(because.strip())[:200], impersonal(getpass.getuser() if by is None else by)[:200]
    except ValueError as error:
        return usage(f"--because or --by {error}")
    if not reason:
        return usage("--because is empty: say why, it is kept with it")
    topics = Topics.of(load(NotifierSettings).kafka)
    async with opened_ledger() as database:
        outbox = Outbox(database, Unpublished(), topics)
        async with database.transaction() as connection:
            count = await lifting.lift(
                connection, outbox, suppression_id, by=who, reason=reason, now=SystemClock().now()
            )
    say("lifted: it may be written to again" if count else "it was lifted already")
    return OK


def _typed_index(channel: Literal["email", "sms"]) -> str:
    from services.notifier.settings import NotifierSettings
    from services.runtime.addresses import index_of
    from services.runtime.settings import load

    word = "address" if channel == "email" else "number"
    typed = getpass.getpass(f"{word} (not shown): ") if sys.stdin.isatty() else sys.stdin.readline()
    return index_of(channel, typed.strip(), load(NotifierSettings).notifier.key("index_key"))
