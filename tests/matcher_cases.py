"""The case that the matcher's tests start from: street works at one point of Danderyd."""

from typing import Any


def content(role: str = "site", **changes: Any) -> dict[str, Any]:
    """A case's content, with what a test changes."""
    return {
        "municipality": "0162",
        "source": "prov",
        "case_id": "A",
        "version": 1,
        "title": "Titel",
        "case_type": "gatuarbete",
        "stage": "projektering",
        "geometries": [{"role": role, "geometry": {"type": "Point", "coordinates": [18.03, 59.4]}}],
    } | changes
