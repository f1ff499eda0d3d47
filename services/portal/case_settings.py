"""What the commands for cases read from the environment: the broker, the dialogue model, where places may lie."""

from pydantic import ConfigDict, Field

from services.runtime.installation import ModelSettings
from services.runtime.settings import Section, ServiceSettings


class PlaceOptions(Section):
    """What the door for cases shares with the matcher's."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    allow_outside_sweden: bool = False
    """Geometries may lie anywhere, and outside their municipality."""


class CaseSettings(ServiceSettings):
    """Everything that `nardialog case` reads."""

    model: ModelSettings = Field(default_factory=ModelSettings)
    matcher: PlaceOptions = Field(default_factory=PlaceOptions)
