"""Which case somebody means who names it by hand."""

from collections.abc import Iterable

from services.runtime.errors import Permanent


def one_of(asked: str, keys: Iterable[str]) -> str:
    """The key that is meant: by itself, or by a case id that only one has. Raises `Permanent`."""
    known = list(keys)
    found = [key for key in known if key == asked] or [key for key in known if key.split("/", 2)[2] == asked]
    if len(found) == 1:
        return found[0]
    if found:
        raise Permanent(f"{len(found)} cases are called so: say which of {', '.join(sorted(found))}")
    raise Permanent("no such case is known: give its case id, or municipality/source/case id")
