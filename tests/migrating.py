"""A store as an earlier version left it."""

from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config


def migrate_to(connection: Any, migrations: Path, revision: str) -> None:
    """As far as a revision."""
    config = Config()
    config.set_main_option("script_location", str(migrations))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
