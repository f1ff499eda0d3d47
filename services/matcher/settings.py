"""The matcher's settings."""

from typing import Annotated

from pydantic import Field, StringConstraints

from services.matcher.release import Policy
from services.runtime.installation import InstallationSettings, ModelSettings
from services.runtime.settings import Section, ServiceSettings

ForWhat = Annotated[str, StringConstraints(pattern=r"^(\*|\*/[^*/]+|[^*]+/\*|[^*]+/[^*/]+)$")]
"""`*`, `*/case type`, `source/*` or `source/case type`."""


class MatcherOptions(Section):
    """How cases are matched."""

    allow_outside_sweden: bool = False
    """Geometries may lie anywhere, and outside their municipality."""
    release: dict[ForWhat, Policy] = {"*": "auto"}
    """What may be sent without a look: JSON of `source/case type`, `source/*`, `*/case type` or `*` to `auto` (sent
    after the time in which it can be undone) or `review` (held until an official releases it). The most specific wins:
    `{"*": "auto", "exempel/*": "review", "exempel/gatuarbete": "auto"}`.
    """


class MatcherSettings(ServiceSettings):
    """Everything the matcher and its commands read from the environment."""

    matcher: MatcherOptions = Field(default_factory=MatcherOptions)
    installation: InstallationSettings = Field(default_factory=InstallationSettings)
    model: ModelSettings = Field(default_factory=ModelSettings)
