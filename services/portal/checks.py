"""What the portal needs, for `nardialog doctor`: its keys and its store."""

from services.portal.settings import PortalSettings
from services.portal.store.tables import MIGRATIONS, POSITIONS
from services.runtime.checks import Check, tried
from services.runtime.store.checks import Ends, Store, check_store


async def checks(settings: PortalSettings, ends: Ends | None) -> list[Check]:
    """Nothing is changed."""
    options = settings.portal
    keys = [
        tried("portal recipient key", settings.installation.key, "set"),
        tried("portal token keys", options.keys, f"{len(options.token_keys)} set"),
    ]
    store = Store("portal", options.database, MIGRATIONS, POSITIONS, version_table="portal_version")
    return [*keys, *await check_store(store, ends)]
