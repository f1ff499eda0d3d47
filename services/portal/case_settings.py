"""What the commands for cases read from the environment: the broker, the dialogue model, where places may lie,
and what makes a keyed hash of an applicant's personal number.
"""

from pydantic import Field

from services.runtime.installation import InstallationSettings, ModelSettings, PlaceOptions
from services.runtime.settings import ServiceSettings


class CaseSettings(ServiceSettings):
    """Everything that `nardialog case` reads."""

    model: ModelSettings = Field(default_factory=ModelSettings)
    matcher: PlaceOptions = Field(default_factory=PlaceOptions)
    installation: InstallationSettings = Field(default_factory=InstallationSettings)
