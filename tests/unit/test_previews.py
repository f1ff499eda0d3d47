"""A preview is what would be sent, in the language of its reader and by the settings; the token aside."""

import re
from base64 import b64encode
from email import message_from_bytes
from email.policy import default
from typing import Any, Final

import pytest

from schemas.company import EXAMPLE as COMPANY
from schemas.company import Company
from schemas.invitation import EXAMPLE as INVITATION
from schemas.invitation import Invitation
from schemas.round import Round
from services.notifier.composer import composer_for
from services.notifier.composing import Asked as AskedNotice
from services.notifier.composing import DigestItem, Draft
from services.notifier.settings import NotifierOptions
from services.preview_message import asked_by
from services.rendering import samples
from services.rendering.dates import Lang
from services.rendering.previews import Asked, Kind, preview

KINDS: Final[tuple[Kind, ...]] = ("first", "reminder", "digest", "feedback", "change")
_TOKEN: Final = re.compile(r"/(i|avsluta|bekrafta)/[\w-]{22}|avsluta%20[\w-]{22}")
OPTIONS: Final = {
    "portal_url": "https://dialog.example",
    "sender_name": "Danderyds kommun",
    "sender_email": "dialog@danderyd.example",
    "privacy_contact": "dataskydd@danderyd.example",
    "unsubscribe_mailto": "avsluta@danderyd.example",
    "token_key": b64encode(bytes(32)).decode(),
}


def options(**more: Any) -> NotifierOptions:
    return NotifierOptions.model_validate({**OPTIONS, **more})


def shown(asked: Asked, shape: str) -> str:
    data = preview(asked, "sms" if shape == "sms" else "eml")
    assert data is not None
    return _TOKEN.sub("TOKEN", readable(data))


def readable(data: bytes) -> str:
    """A mail with its parts decoded, so that a link is whole whatever line it was broken in."""
    mail = message_from_bytes(data, policy=default)
    if not mail["From"]:
        return data.decode()
    parts = [str(part.get_content()) for part in mail.walk() if not part.is_multipart()]
    return "\n".join([*(f"{name}: {value}" for name, value in mail.items()), *parts])


def sent(kind: Kind, lang: Lang, channel: str, given: NotifierOptions, rounds: tuple[Round, ...]) -> str:
    """What the notifier writes of the same."""
    composer, round_ = composer_for(given), rounds[0]
    letter = samples.letter_about(round_, kind)
    to = "foretag@mail.example" if channel == "email" else "+46701740605"
    draft = Draft(
        "sample", 7, channel, lang, to, letter.at, letter.told_at, letter.introduce, rehearsal=bool(given.rehearsal)
    )
    item, known = Invitation.model_validate(INVITATION), {str(COMPANY["workplace_id"]): Company.model_validate(COMPANY)}
    if kind == "digest":
        data = composer.digest(draft, [DigestItem(one, [item]) for one in rounds], 0, known)
    elif kind == "reminder":
        data = composer.remind(draft, round_, [item], known)
    else:
        data = composer.compose(draft, round_, [item], known)
    return _TOKEN.sub("TOKEN", readable(data))


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"sms_two_way": True, "sms_parts": 2, "receipts": {"public_url": "https://sms.danderyd.example"}},
        {"rehearsal": ["anna@danderyd.example"]},
    ],
)
@pytest.mark.parametrize("channel", ["email", "sms"])
@pytest.mark.parametrize("lang", ["sv", "en"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_preview_is_what_the_notifier_writes(kind: Kind, lang: Lang, channel: str, more: dict[str, Any]) -> None:
    given = options(**more)
    round_ = samples.round_of("moved" if kind == "change" else kind)
    asked = asked_by(given, kind, round_, lang=lang)
    rounds = (round_, *samples.rounds_of_digest()) if kind == "digest" else (round_,)
    assert shown(asked, "sms" if channel == "sms" else "eml") == sent(kind, lang, channel, given, rounds)


@pytest.mark.parametrize("channel", ["email", "sms"])
@pytest.mark.parametrize("lang", ["sv", "en"])
def test_a_previewed_notice_is_what_the_notifier_writes(lang: Lang, channel: str) -> None:
    given, kind = options(), "receipt"
    letter = samples.notice_about(kind)
    draft = Draft("sample", 7, channel, lang, "foretag@mail.example", samples.AT)
    about = AskedNotice(kind, letter.parameters, None, 7, letter.round, letter.expires_at)
    said = _TOKEN.sub("TOKEN", readable(composer_for(given).notice(draft, about)))
    assert shown(asked_by(given, "notice", samples.round_of("first"), lang=lang), channel) == said


def test_whoever_reads_english_is_shown_an_english_subject() -> None:
    asked = asked_by(options(), "first", samples.round_of("first"), lang="en")
    mail = message_from_bytes(preview(asked, "eml") or b"", policy=default)
    assert mail["Subject"].endswith("does it affect you? Reply by 5 Dec")
