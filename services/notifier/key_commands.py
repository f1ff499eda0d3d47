"""`nardialog keys rotate`. Heavy imports wait for the command."""

from services.runtime.terminal import OK, PARTLY, say


async def rotate() -> int:
    """Encrypt the ledger anew with the newest vault key, while notifiers work. Exit 6 if some of it does not open.

    Before it, all notifiers run with the new key in VAULT_KEY and the old one in OTHER_VAULT_KEYS; after it, without
    the old one. Doing it again does what was left.
    """
    from services.notifier.ledger.opened import opened_ledger
    from services.notifier.ledger.rotation import renew
    from services.notifier.settings import NotifierSettings
    from services.runtime.settings import load

    vault = load(NotifierSettings).notifier.vault()
    written = closed = rows = 0
    async with opened_ledger() as database:
        async for page in renew(database, vault):
            rows, written, closed = rows + page.rows, written + page.written, closed + page.closed
    print(f"{rows} rows looked at, {written} values encrypted anew")
    if closed:
        say(f"error: {closed} values open with none of the keys: add the key that they were written with")
        return PARTLY
    return OK
