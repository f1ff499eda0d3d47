"""The matcher's settings."""

from pydantic import Field

from services.runtime.installation import InstallationSettings, ModelSettings
from services.runtime.settings import Section, ServiceSettings


class MatcherOptions(Section):
    """How cases are matched."""

    allow_outside_sweden: bool = False
    """Geometries may lie anywhere, and outside their municipality."""


class MatcherSettings(ServiceSettings):
    """Everything the matcher and its commands read from the environment."""

    matcher: MatcherOptions = Field(default_factory=MatcherOptions)
    installation: InstallationSettings = Field(default_factory=InstallationSettings)
    model: ModelSettings = Field(default_factory=ModelSettings)
