"""What the matcher and the import of a register need, for `nardialog doctor`."""

from services.matcher.settings import MatcherSettings
from services.runtime.checks import Check, tried
from services.runtime.errors import Fault


def checks(settings: MatcherSettings) -> list[Check]:
    """Keys and the dialogue model."""
    file = settings.model.file
    named = f"{file}" if file else "the proposal that comes with the product"
    return [
        tried("matcher recipient key", settings.installation.key, "set"),
        tried("matcher seal", lambda: _seal(settings), f"version {settings.installation.seal_key_version}"),
        tried("matcher model", settings.model.load, named),
    ]


def _seal(settings: MatcherSettings) -> None:
    if settings.installation.seal() is None:
        raise Fault("set NARDIALOG_INSTALLATION__SEAL_PUBLIC_KEY to the notifier's public key: contacts need it")
