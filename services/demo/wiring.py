"""The services with the demo's own settings, and the oracle that judges them.

The settings are made here and never read from the environment, so that the demo can only reach what it started itself:
a broker on loopback, a ledger in its own folder, two sinks that deliver nothing. Keys are made at each start and are
gone with the process.
"""

import asyncio
import base64
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from pydantic import SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource
from sqlalchemy import func, select

from schemas import model as dialogue_model
from schemas.delivery import AT_REST, DeliveryState
from schemas.identity import DEMO_RECIPIENT_KEY
from services.demo.settling import Expected
from services.matcher import files
from services.matcher.app import MatcherApp
from services.matcher.app import build as build_matcher
from services.matcher.holds import Limits
from services.matcher.register import reading
from services.matcher.register.checks import Rules
from services.matcher.register.commands import import_file
from services.matcher.settings import MatcherSettings
from services.matcher.workplaces import snapshot
from services.notifier.app import NotifierApp
from services.notifier.app import build as build_notifier
from services.notifier.channels.elks46 import Elks46Options
from services.notifier.ledger.tables import MESSAGES, OUTBOX
from services.notifier.settings import NotifierOptions, NotifierSettings, SmtpSettings
from services.portal.app import PortalApp
from services.portal.app import build as build_portal
from services.portal.settings import PortalOptions, PortalSettings
from services.runtime.clock import Clock
from services.runtime.installation import InstallationSettings
from services.runtime.sealing import new_key
from services.runtime.settings import KafkaSettings

HOLD_SECONDS: Final = 120
"""Of the demo's clock: two seconds at its usual speed."""
RULES: Final = Rules(DEMO_RECIPIENT_KEY, synthetic=True)


class _Isolated(BaseSettings):
    """Settings that see what the demo says and nothing else."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


class DemoMatcherSettings(_Isolated, MatcherSettings):
    """The matcher's settings, from here only."""


class DemoNotifierSettings(_Isolated, NotifierSettings):
    """The notifier's settings, from here only."""


class DemoPortalSettings(_Isolated, PortalSettings):
    """The portal's settings, from here only."""


@dataclass(frozen=True)
class Keys:
    """The keys of one run: what is sealed to whom, and what links are signed with."""

    private: bytes
    public: bytes
    token: bytes


@dataclass(frozen=True)
class Ends:
    """Where messages go and where their links lead."""

    portal: str
    smtp_host: str
    smtp_port: int
    sms: str


async def import_register(file: Path, kafka: KafkaSettings, public_key: bytes, clock: Clock) -> int:
    """The register to the topics; returns how many workplaces it has."""
    installation = InstallationSettings(seal_public_key=_base64(public_key))
    read = await asyncio.to_thread(reading.read, file, RULES)
    report = await import_file(read, DemoMatcherSettings(kafka=kafka, installation=installation), clock)
    return report.accepted


def matcher(kafka: KafkaSettings, clock: Clock) -> MatcherApp:
    """The matcher, with the published demo key."""
    return build_matcher(DemoMatcherSettings(kafka=kafka), clock)


def notifier(kafka: KafkaSettings, clock: Clock, ends: Ends, ledger: Path, keys: Keys) -> NotifierApp:
    """The notifier between our own sinks, on a ledger of its own."""
    vault, index = (SecretStr(_base64(new_key())) for _ in range(2))
    options = NotifierOptions(
        database=f"sqlite+aiosqlite:///{ledger}",
        vault_key=vault,
        index_key=index,
        token_key=SecretStr(_base64(keys.token)),
        private_keys={"k1": SecretStr(_base64(keys.private))},
        portal_url=ends.portal,
        sender_name="Danderyd",
        sender_email="demo@danderyd.example",
        hold_seconds=HOLD_SECONDS,
        lease_seconds=3600,
        smtp=SmtpSettings(host=ends.smtp_host, port=ends.smtp_port, tls="none"),
        sms=Elks46Options(
            base_url=ends.sms,
            username="demo",
            password=SecretStr("demo"),
            sender="Danderyd",
            receipt_base=f"{ends.portal}/kvitto",
            per_minute=0,
        ),
    )
    return build_notifier(DemoNotifierSettings(kafka=kafka, notifier=options), clock)


def portal(kafka: KafkaSettings, clock: Clock, url: str, port: int, store: Path, keys: Keys) -> PortalApp:
    """The portal on loopback, on a store of its own."""
    options = PortalOptions(
        database=f"sqlite+aiosqlite:///{store}",
        token_keys=(SecretStr(_base64(keys.token)),),
        port=port,
        base_url=url,
        contact_phone="08-000 00 00",
    )
    installation = InstallationSettings(seal_public_key=_base64(keys.public))
    return build_portal(DemoPortalSettings(kafka=kafka, portal=options, installation=installation), clock)


async def unsent(app: NotifierApp) -> int:
    """Messages in the ledger that are under way, and events that are not told yet."""
    rest = [state.value for state in AT_REST]
    async with app.database.transaction() as connection:
        about_to = (MESSAGES.c.state == DeliveryState.WAITING.value) & (MESSAGES.c.waits == "")
        open_ = select(func.count()).select_from(MESSAGES).where(MESSAGES.c.state.not_in(rest) | about_to)
        untold = select(func.count()).select_from(OUTBOX)
        return (await connection.scalar(open_) or 0) + (await connection.scalar(untold) or 0)


def expected(register: Path, cases: Path, day: date) -> Expected:
    """The oracle: the pure derivation on the demo's own files."""
    read = reading.read(register, RULES)
    result = files.match(
        cases,
        snapshot(read.companies.values()),
        dialogue_model.default(),
        day,
        key=DEMO_RECIPIENT_KEY,
        limits=Limits(),
    )
    ids = (item.invitation_id for invitations in result.invitations.values() for item in invitations)
    return Expected(frozenset(ids), result.cases, len(result.refused))


def _base64(key: bytes) -> str:
    return base64.b64encode(key).decode()
