"""What the commands for cases read from the environment: the broker, the dialogue model, where places may lie."""

from pydantic import Field

from services.runtime.installation import ModelSettings, PlaceOptions
from services.runtime.settings import ServiceSettings


class CaseSettings(ServiceSettings):
    """Everything that `nardialog case` reads."""

    model: ModelSettings = Field(default_factory=ModelSettings)
    matcher: PlaceOptions = Field(default_factory=PlaceOptions)
