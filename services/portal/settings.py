"""The portal's settings."""

from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from schemas.topics import EVENT_BYTES
from schemas.types import MAX_VERTICES
from services.runtime.errors import Fault
from services.runtime.installation import InstallationSettings, ModelSettings, PlaceOptions
from services.runtime.sealing import decode_key
from services.runtime.settings import Section, ServiceSettings


class PortalOptions(Section):
    """NARDIALOG_PORTAL__…"""

    database: str = "sqlite+aiosqlite:///nardialog-portal.db"
    """The portal's store, as SQLAlchemy writes: `postgresql+asyncpg://user:password@host/name`. SQLite is for one
    portal.
    """
    token_keys: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    """The keys that links in messages were signed with, newest first, separated by commas: the notifier's TOKEN_KEY and
    those before it, since stop links never expire.
    """
    host: str = "127.0.0.1"
    """The address that the portal listens on; a proxy with TLS stands in front of it."""
    port: int = Field(8080, ge=1, le=65535)
    """The port that the portal listens on."""
    base_url: str = Field("http://127.0.0.1:8080", pattern=r"^https?://[^/\s]+[^\s]*[^/\s]$")
    """What the portal is called by the public; the notifier's PORTAL_URL."""
    municipality: str = Field("0162", pattern=r"^[0-9]{4}$")
    """SCB's four-digit code of the municipality whose portal this is."""
    municipality_name: str = "Danderyds kommun"
    """The municipality as people call it."""
    contact_phone: str = ""
    """The municipality's switchboard, shown at the foot of each page."""
    contact_email: str = ""
    """The municipality's function address, shown at the foot of each page."""
    privacy_contact: str = ""
    """Whom to ask about personal data: an address or a phone number."""
    publish_seconds: float = Field(10.0, gt=0, le=60)
    """How long a page waits for the broker's acknowledgement before it says that it could not be done."""
    case_bytes: int = Field(EVENT_BYTES, ge=1000, le=EVENT_BYTES)
    """The most bytes of a case that the HTTP door for case systems takes."""
    case_vertices: int = Field(MAX_VERTICES, ge=1, le=MAX_VERTICES)
    """The most vertices in the geometries of a case that it takes."""
    idempotency_days: int = Field(7, ge=1, le=90)
    """How long it knows a request again by its Idempotency-Key."""
    relay_seconds: float = Field(1.0, gt=0, le=60)
    """How often the outbox is looked at when nobody has said that something is in it."""

    @field_validator("token_keys", mode="before")
    @classmethod
    def _a_list_as_people_write_it(cls, given: object) -> object:
        return [part.strip() for part in given.split(",") if part.strip()] if isinstance(given, str) else given

    def keys(self) -> tuple[bytes, ...]:
        """The bytes of the token keys. Raises `Fault` naming the setting when one is missing or no key."""
        if not self.token_keys:
            raise Fault("set NARDIALOG_PORTAL__TOKEN_KEYS to the notifier's NARDIALOG_NOTIFIER__TOKEN_KEY")
        return tuple(decode_key(key.get_secret_value(), "NARDIALOG_PORTAL__TOKEN_KEYS") for key in self.token_keys)


class PortalSettings(ServiceSettings):
    """Everything the portal and its commands read from the environment."""

    portal: PortalOptions = PortalOptions()
    installation: InstallationSettings = InstallationSettings()
    model: ModelSettings = ModelSettings()
    matcher: PlaceOptions = PlaceOptions()
