"""The detailed industry groups that the codes and groups of a dialogue model come to."""

from collections.abc import Iterable

from schemas import industries
from schemas.model import IndustryGroup


def leaves(codes: Iterable[str], version: str) -> frozenset[str]:
    """The detailed groups under some codes; unknown ones have none."""
    found = frozenset[str]()
    for code in codes:
        try:
            found |= industries.leaves_under(industries.parse(code, version), version)
        except ValueError:  # told as a flaw
            continue
    return found


def leaves_of(group: IndustryGroup, version: str) -> frozenset[str]:
    """Those that a group holds."""
    return leaves(group.codes, version) - leaves(group.exclude, version)
