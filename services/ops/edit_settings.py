"""What `nardialog dlq edit` needs besides: what cases are held against. Apart, since it costs the others a second."""

from pydantic import Field

from services.ops.settings import OpsSettings
from services.runtime.installation import ModelSettings, PlaceOptions


class EditSettings(OpsSettings):
    """An edited case goes through the door that any case goes through."""

    model: ModelSettings = Field(default_factory=ModelSettings)
    matcher: PlaceOptions = Field(default_factory=PlaceOptions)
