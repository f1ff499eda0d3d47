"""Whether what somebody wrote back by SMS asks us to stop.

The whole text must ask for it, whatever its case, its spaces and the signs around it: «Stopp!», «stopp tack» and «STOP
ALL» stop; «Stopp för bygget är fel väg» is a person's answer. Words: those that Swedish senders tell people to write,
and those that carriers abroad obey (Twilio's and CTIA's lists), so that a stop is one whichever provider brought it.
"""

import re
import unicodedata
from typing import Final

WORDS: Final = frozenset(
    {"stopp", "stop", "stoppa", "avsluta", "sluta", "avregistrera", "avprenumerera"}
    | {"stopall", "unsubscribe", "cancel", "end", "quit", "optout", "revoke"}
)
_AROUND: Final = frozenset(
    {
        "tack",
        "snälla",
        "nu",
        "alla",
        "allt",
        "skicka",
        "sms",
        "mig",
        "all",
        "please",
        "thanks",
        "thank",
        "you",
        "now",
        "me",
    }
)
"""Words that make no answer of a stop."""


def asks_to_stop(text: str) -> bool:
    """Whether this is a stop and nothing else."""
    words = re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", text).casefold())
    if "".join(words) in WORDS:
        return True
    return not WORDS.isdisjoint(words) and WORDS.union(_AROUND).issuperset(words)
