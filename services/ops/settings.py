"""What ops needs of the environment: the broker, as every service has it, and for `dlq edit` the rules for cases."""

from pydantic import Field

from services.runtime.installation import ModelSettings, PlaceOptions
from services.runtime.settings import ServiceSettings


class OpsSettings(ServiceSettings):
    """The settings of `nardialog lag`, `dlq`, `topics` and `doctor`."""


class EditSettings(OpsSettings):
    """Those of `nardialog dlq edit`: an edited case goes through the door that any case goes through."""

    model: ModelSettings = Field(default_factory=ModelSettings)
    matcher: PlaceOptions = Field(default_factory=PlaceOptions)
