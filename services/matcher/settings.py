"""The matcher's settings."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, StringConstraints

from services.matcher.holds import Limits
from services.matcher.release import Policy
from services.runtime.installation import InstallationSettings, ModelSettings
from services.runtime.settings import Section, ServiceSettings

ForWhat = Annotated[str, StringConstraints(pattern=r"^(\*|\*/[^*/]+|[^*]+/\*|[^*]+/[^*/]+)$")]
"""`*`, `*/case type`, `source/*` or `source/case type`."""


class MatcherOptions(Section):
    """How cases are matched."""

    allow_outside_sweden: bool = False
    """Geometries may lie anywhere, and outside their municipality."""
    hold_share: Annotated[float, Field(gt=0, le=1)] = 0.8
    """A round whose geometry reaches this share of the active workplaces, of all or of its municipality, waits."""
    hold_margin_m: Annotated[float, Field(ge=0, le=100_000)] = 2000
    """How many metres outside its municipality a geometry may lie before the round waits."""
    hold_days_ahead: Annotated[int, Field(ge=1, le=20_000)] = 400
    """How many days ahead a last day to answer, an event or a stage may lie before the round waits."""
    release: dict[ForWhat, Policy] = {"*": "auto"}
    """What may be sent without a look: JSON of `source/case type`, `source/*`, `*/case type` or `*` to `auto` (sent
    after the time in which it can be undone) or `review` (held until an official releases it). The most specific wins:
    `{"*": "auto", "exempel/*": "review", "exempel/gatuarbete": "auto"}`.
    """
    register_folder: Path | None = None
    """Where the matcher keeps the register as it last read it: it then starts within seconds, and reads only what came
    since. Without a folder it reads the whole of `companies` at every start. Earlier registers and the dialogue model
    stay there by their hashes for as long as the model's `retention` says, so that `nardialog replay` can compute a
    round again.
    """
    import_state_file: Path | None = Path("nardialog-register.db")
    """What `companies import` remembers of the contacts it wrote, as keyed fingerprints: those that did not change are
    not written again. Keep it between imports; if it is lost, every contact is written once more.
    """
    import_max_erased_share: float = Field(0.1, ge=0, le=1)
    """Which share of a source's workplaces a full import may erase without `--yes`."""

    def limits(self) -> Limits:
        """What the guards hold."""
        return Limits(
            outside=self.allow_outside_sweden,
            margin_m=self.hold_margin_m,
            share=self.hold_share,
            horizon_days=self.hold_days_ahead,
        )


class MatcherSettings(ServiceSettings):
    """Everything the matcher and its commands read from the environment."""

    matcher: MatcherOptions = Field(default_factory=MatcherOptions)
    installation: InstallationSettings = Field(default_factory=InstallationSettings)
    model: ModelSettings = Field(default_factory=ModelSettings)
