"""`nardialog providers`: who sends, how they are, what they cost; a test to one's own number. Imports wait."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from cyclopts import App, Parameter

from services.runtime.terminal import FAILED, OK, PARTLY, agreed, can_ask, say, show, usage

if TYPE_CHECKING:
    from services.notifier.channels.port import Outcome
    from services.notifier.ledger.provider_states import ProviderState
    from services.notifier.ledger.spending import Spent
    from services.notifier.settings import NotifierOptions

providers = App(name="providers", help="Who sends for us, how they are, and what SMS cost.")

Json = Annotated[bool, Parameter(name="--json", negative="", help="One JSON object a line.")]
Yes = Annotated[bool, Parameter(negative="")]
Name = Literal["46elks", "twilio"]
COLUMNS: Final = (
    "channel", "provider", "state", "reason", "until", "per_minute", "messages", "segments", "cost", "currency", "cap",
)  # fmt: skip
_TEST: Final = "Närdialog: detta är ett prov. This is a test."


@providers.command
async def status(*, json_: Json = False) -> int:
    """Each provider in the order of use: whether it is well, its pace, and what this month's messages cost."""
    from services.notifier.ledger import provider_states
    from services.notifier.ledger.opened import opened_ledger
    from services.notifier.ledger.spending import spent_since
    from services.notifier.policy.month_cap import month_of
    from services.notifier.settings import NotifierSettings
    from services.runtime.clock import SystemClock
    from services.runtime.settings import load

    options, now = load(NotifierSettings).notifier, SystemClock().now()
    begins, _ = month_of(now)
    async with opened_ledger() as database, database.transaction() as connection:
        states = {(state.channel, state.provider): state for state in await provider_states.states(connection)}
        spent = {name: await spent_since(connection, name, begins) for name in ("email", "sms")}
    rows = []
    for channel, provider, per_minute in _set_up(options):
        state = states.get((channel, provider))
        left_alone = state is not None and state.until is not None and state.until > now
        found = [item for item in spent[channel] if item.provider == provider]
        rows.append(_row(options, channel, provider, per_minute, state if left_alone else None, found))
    show(COLUMNS, rows, as_json=json_)
    return OK


@providers.command(name="test")
async def try_out(*, to: str, provider: Name | None = None, yes: Yes = False) -> int:
    """Send one SMS to a number of your own, outside the ledger: not counted, not paced, no receipt is waited for.

    Parameters
    ----------
    to
        Your own mobile number.
    provider
        Only by this one; without it, one SMS by each.
    yes
        Do not ask.
    """
    from services.notifier.app import sms_channels
    from services.notifier.settings import NotifierSettings, ReceiptSettings
    from services.runtime.addresses import normal
    from services.runtime.errors import Rejected
    from services.runtime.settings import load

    try:
        number, _ = normal("sms", to)
    except Rejected as error:
        return usage(f"--to: {error.detail}")
    options = load(NotifierSettings).notifier.model_copy(update={"receipts": ReceiptSettings()})
    channels = [one for one in sms_channels(options) if provider in (None, one.provider)]
    if not channels:
        return usage(
            "no such SMS provider is set up: see NARDIALOG_NOTIFIER__SMS__… and …__TWILIO__… in docs/settings.md"
        )
    if not yes and not (can_ask() and agreed(f"Send {len(channels)} real SMS, which cost money?")):
        return usage("nothing was sent: answer yes, or say --yes where nobody can be asked")
    outcomes = {channel.provider: await _tried(channel, number) for channel in channels}
    for name, outcome in outcomes.items():
        say(f"{name}: {outcome.state.value} {outcome.code} {outcome.detail}".rstrip())
    sent = sum(outcome.state.value == "sent" for outcome in outcomes.values())
    return OK if sent == len(outcomes) else PARTLY if sent else FAILED


@providers.command
def addresses() -> int:
    """Where a provider is to send what people write to our number. Secret: whoever knows it can stop any number."""
    from services.notifier.app import callbacks_for
    from services.notifier.provider_door import answers_url
    from services.notifier.settings import NotifierSettings
    from services.runtime.settings import load

    options = load(NotifierSettings).notifier
    callbacks = callbacks_for(options)
    if not callbacks:
        return usage("nothing listens: set NARDIALOG_NOTIFIER__RECEIPTS__PUBLIC_URL and an SMS account")
    for one in callbacks:
        print(one.provider, answers_url(options.receipts.public_url, one.provider, options.key("token_key")), sep="\t")
    return OK


def _set_up(options: "NotifierOptions") -> list[tuple[str, str, float | None]]:
    """Channel, provider and pace of what the settings name, in the order of use."""
    from services.notifier.channels import elks46, twilio

    email: list[tuple[str, str, float | None]] = [("email", "smtp", None)] if options.smtp.host else []
    accounts = {elks46.PROVIDER: options.sms, twilio.PROVIDER: options.twilio}
    sms = [("sms", name, account.per_minute or None) for name, account in accounts.items() if account is not None]
    return email + sorted(sms, key=lambda one: one[1] != options.sms_first)


def _row(
    options: "NotifierOptions",
    channel: str,
    provider: str,
    per_minute: float | None,
    trouble: "ProviderState | None",
    spent: "Sequence[Spent]",
) -> list[Any]:
    is_sms = channel == "sms"
    cost = sum(item.cost for item in spent) / 10_000
    cap = float(options.sms_month_cap) if options.sms_month_cap is not None else None
    return [
        channel,
        provider,
        "left alone" if trouble else "well",
        trouble.code if trouble else None,
        trouble.until.isoformat(timespec="seconds") if trouble and trouble.until else None,
        per_minute,
        sum(item.messages for item in spent),
        sum(item.segments for item in spent) if is_sms else None,
        cost if is_sms else None,
        next((item.currency for item in spent if item.currency), None),
        cap if is_sms else None,
    ]


async def _tried(channel: Any, number: str) -> "Outcome":
    from services.notifier.channels.port import Outgoing
    from services.runtime.clock import SystemClock

    try:
        outcome: Outcome = await channel.send(Outgoing("test", number, _TEST.encode(), "test", SystemClock().now()))
        return outcome
    finally:
        await channel.close()
