"""The notifier's settings. Keys are 32 bytes in base64; `nardialog keys new` makes them."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field, SecretStr, model_validator

from services.notifier.channels import elks46, twilio
from services.notifier.channels.elks46 import Elks46Options
from services.notifier.channels.sms_account import SmsAccount
from services.notifier.channels.smtp import SmtpOptions
from services.notifier.channels.twilio import TwilioOptions
from services.notifier.outcomes.imap import ImapMailbox, ImapOptions
from services.notifier.outcomes.mailbox import Mailbox
from services.notifier.outcomes.maildir import MaildirMailbox
from services.notifier.outcomes.passing_on import Ours
from services.notifier.outcomes.return_path import ReturnPaths
from services.notifier.policy.windows import Mode
from services.runtime.errors import Fault
from services.runtime.installation import ModelSettings
from services.runtime.sealing import Vault, decode_key
from services.runtime.settings import Section, ServiceSettings

LONGEST_PORTAL_BESIDE_STOP: Final = 30
"""A link has 25 signs more, and 55 in all fit beside the words on how to stop (services/rendering/sms)."""


class SmtpSettings(Section):
    """The mail relay. Without a host, no mail is sent and due mails wait."""

    host: str = ""
    """The relay's name, which its certificate must bear."""
    port: int = Field(587, ge=1, le=65535)
    """587 with `starttls`, 465 with `implicit`."""
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    """How the way to the relay is encrypted; `none` is for a relay on the same machine."""
    username: str = ""
    """Who we are to the relay, where it wants to know; needs TLS."""
    password: SecretStr = SecretStr("")
    """The password of that user."""
    ca_file: Path | None = None
    """Trust these authorities (PEM) alone; otherwise the system's."""
    envelope_from: str = ""
    """Where bounces go; the sender's address when empty."""
    verp: bool = False
    """Give each message an envelope sender of its own, `local+<number>.<proof>@domain` of the one above, so that every
    bounce finds its message. The mailbox must take what follows a plus sign."""
    helo_name: str = ""
    """Our name in EHLO; the machine's when empty."""
    pool_size: int = Field(4, ge=1, le=10)
    """Connections to the relay at once."""


class ReceiptSettings(Section):
    """The notifier's own port, where SMS providers tell what became of messages, and what people answered."""

    host: str = "127.0.0.1"
    """The address that it listens on; a proxy with TLS stands in front of it."""
    port: int = Field(8082, ge=0, le=65535)
    """The port that it listens on; 0 picks a free one."""
    public_url: str = Field("", pattern=r"^(https?://[^/\s]+[^\s]*[^/\s])?$")
    """What the providers call it, as `https://svar.kommun.example`. When empty nothing listens and no receipts come."""


class ReturnedMailSettings(Section):
    """Where mail comes back to: bounces, stops, replies. With neither a maildir nor a host, nothing is read. It is a
    mailbox of its own, read by one notifier; what is handled, or put aside, is moved to a folder.
    """

    maildir: Path | None = None
    """A Maildir on this machine that the mail server delivers into."""
    host: str = ""
    """An IMAP server's name, which its certificate must bear."""
    port: int = Field(993, ge=1, le=65535)
    """993 with `implicit`, 143 with `starttls`."""
    tls: Literal["implicit", "starttls"] = "implicit"
    """How the way to it is encrypted; never not at all."""
    username: str = ""
    """Who we are there."""
    password: SecretStr = SecretStr("")
    """The password of that user."""
    ca_file: Path | None = None
    """Trust these authorities (PEM) alone; otherwise the system's."""
    folder: str = "INBOX"
    """The IMAP folder in which mail arrives."""
    handled_folder: str = Field("Handled", pattern=r"^[A-Za-z0-9 _-]+$")
    """Where mails go from which something followed, or nothing had to; empty it by your own rules."""
    aside_folder: str = Field("Aside", pattern=r"^[A-Za-z0-9 _-]+$")
    """Where mails go that somebody has to look at; moved back, they are tried again."""
    most_bytes: int = Field(26_214_400, ge=100_000)
    """A larger mail is put aside unread."""
    poll_seconds: float = Field(60.0, gt=0, le=3600)
    """How often it is looked at."""
    replies_to: str = Field("", pattern=r"^([!-;=?-~]+@[!-;=?-~]+)?$")
    """Who gets what people write to us where their case names no address; empty: it is put aside."""

    def mailbox(self) -> Mailbox | None:
        """The mailbox, if one is set. Raises `Fault` where two are, or who we are is missing."""
        limits: Mapping[str, Any] = {
            "handled": self.handled_folder,
            "aside": self.aside_folder,
            "most_bytes": self.most_bytes,
        }
        if self.maildir is not None and self.host:
            raise Fault("set NARDIALOG_NOTIFIER__RETURNED__MAILDIR or …__HOST, not both")
        if self.maildir is not None:
            return MaildirMailbox(self.maildir, **limits)
        if not self.host:
            return None
        if not (self.username and self.password.get_secret_value()):
            raise Fault("set NARDIALOG_NOTIFIER__RETURNED__USERNAME and …__PASSWORD")
        options = ImapOptions(
            host=self.host,
            port=self.port,
            tls=self.tls,
            username=self.username,
            password=self.password.get_secret_value(),
            ca_file=self.ca_file,
            folder=self.folder,
        )
        return ImapMailbox(options, **limits)


class NotifierOptions(Section):
    """NARDIALOG_NOTIFIER__…"""

    database: str = "sqlite+aiosqlite:///nardialog-ledger.db"
    """The ledger, as SQLAlchemy writes: `postgresql+asyncpg://user:password@host/name`. SQLite is for one notifier."""
    vault_key: SecretStr = SecretStr("")
    """Encrypts addresses and messages in the ledger."""
    other_vault_keys: tuple[SecretStr, ...] = ()
    """Keys that also open what lies in the ledger, as a JSON list: earlier ones, and during a change the next one."""
    index_key: SecretStr = SecretStr("")
    """Makes the blind index of addresses; never rotated."""
    token_key: SecretStr = SecretStr("")
    """Signs the links in messages."""
    other_token_keys: tuple[SecretStr, ...] = ()
    """Earlier ones, as a JSON list: what comes back by mail may have been signed with them."""
    private_keys: Mapping[str, SecretStr] = {}
    """Key version → private key that opens contacts sealed to it, as a JSON object."""
    portal_url: str = Field("http://127.0.0.1:8080", pattern=r"^https?://[^/\s]+[^\s]*[^/\s]$")
    """What the links in messages begin with: where the portal answers to the public."""
    sender_name: str = "Närdialog"
    """Who messages are from: the municipality's name."""
    sender_email: str = Field("nardialog@localhost.localdomain", pattern=r"^[!-;=?-~]+@[!-;=?-~]+$")
    """The address that mails are from; answers to them go there."""
    unsubscribe_mailto: str = Field("", pattern=r"^([!-;=?-~]+@[!-;=?-~]+)?$")
    """A mailbox that somebody reads, for mail programs that unsubscribe by mail; empty names none."""
    privacy_contact: str = Field("", max_length=200)
    """Whom to ask about personal data, the data protection officer included; the sender's address when empty."""
    templates_folder: Path | None = None
    """Words and templates of the municipality's own that are used in place of ours (docs/messages.md)."""
    rehearsal: tuple[str, ...] = ()
    """Addresses and telephone numbers of own staff, as a JSON list: nobody else is written to, and what they get says
    so. A rehearsal has a database and topics (NARDIALOG_KAFKA__TOPIC_PREFIX) of its own; empty for the real thing.
    """
    hold_seconds: int = Field(600, ge=0, le=86_400)
    """From a round's opening to its first message: the time in which an official may undo."""
    windows: Mode = "working_hours"
    """When messages may leave: in Swedish working hours, or `always`."""
    lease_seconds: int = Field(120, ge=1, le=3600)
    """How long a notifier that died keeps what it had claimed."""
    batch_size: int = Field(500, ge=1, le=1000)
    """Messages claimed at once at most, per channel: no more than these are unknown after a crash. A slow channel
    claims what it sends in a few seconds."""
    parallel: int = Field(10, ge=1, le=100)
    """Calls to a provider at once."""
    poll_seconds: float = Field(0.5, gt=0, le=60)
    """How often the ledger is looked at when there is nothing to do."""
    smtp: SmtpSettings = SmtpSettings()
    """The mail relay."""
    stop_at_refused_percent: int = Field(20, ge=0, le=100)
    """Sending by e-mail is paused, for an operator to lift, when more of the latest mails (20 at least) are refused by
    policy; 0 never."""
    returned: ReturnedMailSettings = ReturnedMailSettings()
    """The mailbox that mail comes back to."""
    sms: Elks46Options | None = None
    """An account with 46elks."""
    twilio: TwilioOptions | None = None
    """An account with Twilio."""
    sms_first: Literal["46elks", "twilio"] = "46elks"
    """Which SMS provider is used where there are two; the other while this one is in trouble."""
    sms_two_way: bool = False
    """Whether each SMS says that STOPP in an answer stops them: the senders are numbers, and receipts' port is open."""
    sms_month_cap: Decimal | None = Field(None, ge=0)
    """What all SMS of a month may cost, in the accounts' currency; then only urgent texts, codes and links go. Empty
    sets no cap.
    """
    sms_parts: int = Field(1, ge=1, le=3)
    """How many parts a text may have; each is paid for."""
    receipts: ReceiptSettings = ReceiptSettings()
    """Receipts by HTTP."""

    @model_validator(mode="after")
    def _hears_answers(self) -> "NotifierOptions":
        accounts = [account for account in (self.sms, self.twilio) if account is not None]
        if self.sms_two_way and not all(account.takes_answers for account in accounts):
            raise ValueError("sms_two_way: a name cannot receive STOPP; set a number as each account's SENDER")
        if self.sms_two_way and not self.receipts.public_url:
            raise ValueError("sms_two_way: nobody would hear STOPP; set …__RECEIPTS__PUBLIC_URL")
        if self.sms_two_way and len(self.portal_url) > LONGEST_PORTAL_BESIDE_STOP:
            most = LONGEST_PORTAL_BESIDE_STOP
            raise ValueError(
                f"sms_two_way: a link and STOPP do not fit into one SMS; PORTAL_URL of at most {most} signs"
            )
        return self

    @model_validator(mode="after")
    def _one_currency(self) -> "NotifierOptions":
        currencies = {account.currency for account in (self.sms, self.twilio) if account is not None}
        if self.sms_month_cap is not None and len(currencies) > 1:
            raise ValueError("sms_month_cap: the SMS accounts must count in one currency; set their CURRENCY and PRICE")
        if self.sms_month_cap is not None and self.twilio is not None and not self.twilio.price:
            raise ValueError("sms_month_cap: Twilio does not say what a text costs; set …__TWILIO__PRICE")
        return self

    def key(self, name: Literal["vault_key", "index_key", "token_key"]) -> bytes:
        """A key's bytes. Raises `Fault` naming the setting when it is missing or no key."""
        secret: SecretStr = getattr(self, name)
        return decode_key(secret.get_secret_value(), f"NARDIALOG_NOTIFIER__{name.upper()}")

    def vault(self) -> Vault:
        """Encrypts with the vault key, and opens with the others too."""
        setting = "NARDIALOG_NOTIFIER__OTHER_VAULT_KEYS"
        others = [decode_key(key.get_secret_value(), setting) for key in self.other_vault_keys]
        return Vault(self.key("vault_key"), *others)

    def openers(self) -> dict[str, bytes]:
        """The private keys by version."""
        return {
            version: decode_key(key.get_secret_value(), f"NARDIALOG_NOTIFIER__PRIVATE_KEYS {version}")
            for version, key in self.private_keys.items()
        }

    def smtp_options(self) -> SmtpOptions | None:
        """The relay for the channel, if there is one."""
        if not self.smtp.host:
            return None
        given = self.smtp.model_dump(exclude={"verp"})
        return SmtpOptions.model_validate({**given, "envelope_from": self.bounces_to})

    @property
    def bounces_to(self) -> str:
        """The mailbox that bounces come to."""
        return self.smtp.envelope_from or self.sender_email

    def elks46_options(self) -> Elks46Options | None:
        """The account with 46elks for the channel, if there is one."""
        return self.sms and self.sms.model_copy(update=self._receipts_of(self.sms, elks46.PROVIDER))

    def twilio_options(self) -> TwilioOptions | None:
        """The account with Twilio for the channel, if there is one."""
        return self.twilio and self.twilio.model_copy(update=self._receipts_of(self.twilio, twilio.PROVIDER))

    def _receipts_of(self, account: SmsAccount, provider: str) -> dict[str, str]:
        ours = f"{self.receipts.public_url}/receipts/{provider}" if self.receipts.public_url else ""
        return {"receipt_base": account.receipt_base or ours}

    def return_paths(self) -> ReturnPaths | None:
        """What makes envelope senders and knows them again, if each message is to have its own."""
        return self.known_return_paths() if self.smtp.verp else None

    def known_return_paths(self) -> ReturnPaths:
        """What knows them again, also those that were made before the setting changed."""
        return ReturnPaths(self.bounces_to, self.token_keys())

    def token_keys(self) -> list[bytes]:
        """The token key, and those before it."""
        setting = "NARDIALOG_NOTIFIER__OTHER_TOKEN_KEYS"
        return [
            self.key("token_key"),
            *(decode_key(key.get_secret_value(), setting) for key in self.other_token_keys),
        ]

    def ours(self) -> Ours:
        """Who we are in what is passed on, and the mailboxes that come back to us."""
        read = [address for address in (self.sender_email, self.bounces_to, self.unsubscribe_mailto) if address]
        return Ours(self.sender_name, self.sender_email, self.returned.replies_to, read)


class NotifierSettings(ServiceSettings):
    """The notifier's sections."""

    notifier: NotifierOptions = NotifierOptions()
    model: ModelSettings = ModelSettings()
