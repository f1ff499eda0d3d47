"""Whether what somebody wrote back by SMS asks us to stop.

The whole text must be one of the words, whatever its case, its spaces and the signs around it: «Stopp!» stops, «Stopp
för bygget är fel väg» is a person's answer. Words: those that Swedish senders tell people to write, and their English.
"""

import unicodedata
from typing import Final

WORDS: Final = frozenset({"stopp", "stop", "avsluta", "sluta"})


def asks_to_stop(text: str) -> bool:
    """Whether this is a stop and nothing else."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(sign for sign in folded if sign.isalnum()) in WORDS
