"""What the notifier needs, for `nardialog doctor`: keys, its ledger, somebody to hand messages to."""

from typing import Final, Literal

from services.notifier.channels.smtp import SmtpChannel
from services.notifier.ledger import pauses
from services.notifier.ledger.tables import MIGRATIONS, POSITIONS
from services.notifier.own_words import wording_of
from services.notifier.settings import NotifierOptions, NotifierSettings
from services.runtime.checks import Check, tried
from services.runtime.errors import Fault, Transient
from services.runtime.store.checks import Ends, Store, check_store
from services.runtime.store.database import Database

KEYS: Final[tuple[Literal["vault_key", "index_key", "token_key"], ...]] = ("vault_key", "index_key", "token_key")
SMTP_SECONDS: Final = 10


async def checks(settings: NotifierSettings, ends: Ends | None) -> list[Check]:
    """Nothing is sent and nothing changed."""
    options = settings.notifier
    keys = [tried(f"notifier {name}", lambda name=name: options.key(name), "set") for name in KEYS]  # type: ignore[misc]
    opens = tried("notifier private keys", lambda: _opens(options), f"versions {', '.join(options.private_keys)}")
    ledger = await check_store(Store("notifier", options.database, MIGRATIONS, POSITIONS), ends)
    said = [*await _sending(options, ledger), *_sender(options), *_rehearsal(options), *_words(settings)]
    return [*keys, opens, *ledger, *said, *await _providers(options)]


def _opens(options: NotifierOptions) -> None:
    if not options.openers():
        raise Fault("set NARDIALOG_NOTIFIER__PRIVATE_KEYS: without one no contact can be opened")


async def _sending(options: NotifierOptions, ledger: list[Check]) -> list[Check]:
    if ledger[0].state != "ok":
        return []
    database = Database(options.database)
    try:
        async with database.transaction() as connection:
            standing = await pauses.standing(connection)
    finally:
        await database.close()
    resume = "`nardialog sending resume` lets messages leave"
    return [Check(pause.what, "note", f"{pause.told}. {resume}") for pause in standing]


def _rehearsal(options: NotifierOptions) -> list[Check]:
    if not options.rehearsal:
        return []
    return [Check("rehearsal", "note", f"only {len(options.rehearsal)} addresses of own staff are written to")]


def _words(settings: NotifierSettings) -> list[Check]:
    folder = settings.notifier.templates_folder
    if folder is None:
        return []
    return [tried("words", lambda: wording_of(folder, settings.model.load().forms), f"those in {folder} are fit")]


def _sender(options: NotifierOptions) -> list[Check]:
    if options.sender_email != NotifierOptions.model_fields["sender_email"].default:
        return []
    return [Check("sender", "note", "NARDIALOG_NOTIFIER__SENDER_EMAIL is not set: no relay takes mail from nowhere")]


async def _providers(options: NotifierOptions) -> list[Check]:
    sms_set = options.sms is not None or options.twilio is not None
    if not options.smtp.host and not sms_set:
        words = "no channel: set NARDIALOG_NOTIFIER__SMTP__HOST, or …__SMS__USERNAME and the rest"
        return [Check("relay", "failed", words)]
    sms = "set; an SMS provider is not asked" if sms_set else "not set: nobody is reached by SMS"
    receipts = [_receipts(options)] if sms_set else []
    mail = [await _relay(options), await _returned(options)] if options.smtp.host else [await _relay(options)]
    return [*mail, Check("sms", "ok" if sms_set else "note", sms), *receipts]


def _receipts(options: NotifierOptions) -> Check:
    if options.receipts.public_url:
        return Check("receipts", "ok", f"SMS providers call {options.receipts.public_url}")
    words = "NARDIALOG_NOTIFIER__RECEIPTS__PUBLIC_URL is not set: of no SMS is it known whether a phone has it"
    return Check("receipts", "note", words)


async def _relay(options: NotifierOptions) -> Check:
    try:
        smtp = options.smtp_options()
        if smtp is None:
            return Check("relay", "note", "NARDIALOG_NOTIFIER__SMTP__HOST is not set: nobody is reached by e-mail")
        channel = SmtpChannel(smtp.model_copy(update={"connect_timeout": SMTP_SECONDS}))
    except (Fault, ValueError) as error:
        return Check("relay", "failed", f"NARDIALOG_NOTIFIER__SMTP__…: {error}")
    where = f"{smtp.host}:{smtp.port}"
    refusal = await channel.greet()
    if refusal is None:
        return Check("relay", "ok", f"{where} takes us in ({smtp.tls})")
    words = f"{where} does not take us in: {refusal.code} {refusal.detail}".rstrip()
    return Check("relay", "failed", f"{words}. See NARDIALOG_NOTIFIER__SMTP__…")


async def _returned(options: NotifierOptions) -> Check:
    try:
        mailbox = options.returned.mailbox()
        if mailbox is None:
            words = (
                "NARDIALOG_NOTIFIER__RETURNED__MAILDIR or …__HOST is not set: bounces and stops by mail are not seen"
            )
            return Check("returned mail", "note", words)
        await mailbox.arrived(0, ())
        await mailbox.close()
    except (Fault, Transient) as error:
        return Check("returned mail", "failed", f"{error}. See NARDIALOG_NOTIFIER__RETURNED__…")
    return Check("returned mail", "ok", "the mailbox can be read")
