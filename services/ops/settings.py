"""What ops needs of the environment: the broker, as every service has it."""

from services.runtime.settings import ServiceSettings


class OpsSettings(ServiceSettings):
    """The settings of `nardialog lag`, `dlq`, `topics` and `doctor`."""
