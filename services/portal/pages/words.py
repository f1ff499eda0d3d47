"""The pages' own words, Swedish first and English."""

from collections.abc import Mapping
from typing import Final

from services.rendering.dates import Lang

WORDS: Final[Mapping[Lang, Mapping[str, str]]] = {
    "sv": {
        "skip": "Hoppa till innehållet",
        "other_language": "In English",
        "other_lang": "en",
        "start_title": "Tyck till innan kommunen bestämmer",
        "not_found_title": "Sidan finns inte",
        "not_found": "Länken är felaktig eller ofullständig. Kontrollera att hela adressen kom med.",
        "unavailable_title": "Något svarar inte just nu",
        "unavailable": "Inget har gått förlorat. Försök igen om en stund.",
    },
    "en": {
        "skip": "Skip to the content",
        "other_language": "På svenska",
        "other_lang": "sv",
        "start_title": "Have your say before the municipality decides",
        "not_found_title": "There is no such page",
        "not_found": "The link is wrong or incomplete. Check that you have the whole address.",
        "unavailable_title": "Something is not answering just now",
        "unavailable": "Nothing has been lost. Try again in a while.",
    },
}
