"""Who an SMS is from, as carriers take it: a name or a number (3GPP TS 23.040 §9.1.2.5 has room for eleven signs)."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator

_NUMBER: Final = re.compile(r"\+[1-9]\d{4,14}")
_NAME: Final = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11}")


def _carriers_take_it(sender: str) -> str:
    if not (_NUMBER.fullmatch(sender) or _NAME.fullmatch(sender)):
        raise ValueError("sender: at most 11 of A-Z, a-z, 0-9 and space with a letter among them, or an E.164 number")
    return sender


SmsSender = Annotated[str, AfterValidator(_carriers_take_it)]
