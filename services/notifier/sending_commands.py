"""`nardialog sending`: pause, resume, and how it stands. Heavy imports wait for a command."""

from typing import Literal

from cyclopts import App

from services.runtime.terminal import NOT_MET, OK, printable, usage

sending = App(name="sending", help="Pause and resume sending.")

ByChannel = Literal["email", "sms"]


@sending.command
async def pause(*, reason: str, channel: ByChannel | None = None) -> int:
    """Stop sending until it is resumed; what is under way finishes. Codes and receipts still go.

    Parameters
    ----------
    reason
        Why; shown by `status`, and said in the log while it lasts.
    channel
        Only this channel; without it, all.
    """
    from services.notifier.ledger import pauses
    from services.notifier.ledger.opened import opened_ledger
    from services.runtime.clock import SystemClock
    from services.runtime.impersonal import impersonal

    try:
        said = impersonal(reason.strip())[:200]
    except ValueError as error:
        return usage(f"--reason {error}")
    if not said:
        return usage("--reason is empty: say why, it is shown while sending is paused")
    async with opened_ledger() as database, database.transaction() as connection:
        await pauses.pause(connection, said, SystemClock().now(), channel)
    print("paused")
    return OK


@sending.command
async def resume(*, channel: ByChannel | None = None) -> int:
    """Let messages leave again. Exit 3 while something is still paused.

    Parameters
    ----------
    channel
        Only this channel, where it was paused by itself; without it, everything.
    """
    from services.notifier.ledger import pauses
    from services.notifier.ledger.opened import opened_ledger

    async with opened_ledger() as database, database.transaction() as connection:
        await pauses.resume(connection, channel)
    return await status()


@sending.command
async def status() -> int:
    """Whether sending is paused, since when and why. Exit 3 while it is."""
    from services.notifier.ledger import pauses
    from services.notifier.ledger.opened import opened_ledger

    async with opened_ledger() as database, database.transaction() as connection:
        standing = await pauses.standing(connection)
    for found in standing:
        print(printable(f"{found.what} {found.told}"))
    if not standing:
        print("sending")
    return NOT_MET if standing else OK
