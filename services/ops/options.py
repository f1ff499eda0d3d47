"""What the commands of ops have in common. Nothing heavy is imported here, so that `--help` answers at once."""

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    from services.runtime.settings import KafkaSettings

Json = Annotated[bool, Parameter(name="--json", negative="")]
Flag = Annotated[bool, Parameter(negative="")]


def kafka_settings() -> "KafkaSettings":
    """The broker of the environment."""
    from services.ops.settings import OpsSettings
    from services.runtime.settings import load

    return load(OpsSettings).kafka
