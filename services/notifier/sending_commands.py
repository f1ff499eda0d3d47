"""`nardialog sending`: pause, resume, and how it stands. Heavy imports wait for a command."""

from cyclopts import App

from services.runtime.terminal import NOT_MET, OK

sending = App(name="sending", help="Pause and resume all sending.")


@sending.command
async def pause(*, reason: str) -> int:
    """Stop all sending until it is resumed; what is under way finishes. Codes and receipts still go.

    Parameters
    ----------
    reason
        Why; shown by `status`.
    """
    await _set(reason[:200])
    print("paused")
    return OK


@sending.command
async def resume() -> int:
    """Let messages leave again."""
    await _set(None)
    print("sending")
    return OK


@sending.command
async def status() -> int:
    """Whether sending is paused, since when and why. Exit 3 while it is."""
    from services.notifier.ledger import store
    from services.notifier.ledger.opened import opened_ledger

    async with opened_ledger() as database, database.transaction() as connection:
        pause_ = await store.paused(connection)
    if pause_ is None:
        print("sending")
        return OK
    print(f"paused since {pause_.since.isoformat(timespec='seconds')}: {pause_.reason}")
    return NOT_MET


async def _set(reason: str | None) -> None:
    from services.notifier.ledger import store
    from services.notifier.ledger.opened import opened_ledger
    from services.runtime.clock import SystemClock

    async with opened_ledger() as database, database.transaction() as connection:
        await store.set_paused(connection, reason, SystemClock().now())
