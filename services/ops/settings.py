"""What ops needs of the environment: the broker, as every service has it, and how often to look."""

from pydantic import Field

from services.runtime.settings import Section, ServiceSettings


class OpsOptions(Section):
    """NARDIALOG_OPS__…"""

    look_seconds: float = Field(15.0, gt=0, le=3600)
    """How often `nardialog run ops` looks at the lag."""


class OpsSettings(ServiceSettings):
    """The settings of `nardialog run ops`, `lag`, `dlq`, `topics` and `doctor`."""

    ops: OpsOptions = OpsOptions()
