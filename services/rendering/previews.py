"""What a message of any kind looks like, in any shape: with made-up names and links, about a given round."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal, TypeAlias

from schemas.round import Round
from services.rendering import samples
from services.rendering.dates import Lang, local
from services.rendering.digest import render_digest
from services.rendering.letter import Brand
from services.rendering.mail import render
from services.rendering.message import MailHeaders, RenderedMail, compose, feedback_id, stop_mail
from services.rendering.notices import NoticeLetter, notice_sms, render_notice
from services.rendering.sms import ONE_WAY, Terms, digest_sms, rehearsed, remind_sms, render_sms
from services.rendering.wording import STANDARD, Wording

Kind: TypeAlias = Literal["first", "reminder", "digest", "feedback", "change", "notice"]
Shape: TypeAlias = Literal["text", "html", "eml", "ics", "sms"]
_STREET: Final = "Stockholmsvägen 40"


@dataclass(frozen=True, slots=True)
class Asked:
    """What to show, by the settings of an installation. `round` is what it is about, and what a digest has beside
    others; `lang` is its reader's.
    """

    kind: Kind
    round: Round
    notice: str = "receipt"
    brand: Brand = samples.BRAND
    from_address: str = "dialog@kommun.example"
    lang: Lang = "sv"
    wording: Wording = STANDARD
    portal: str = samples.PORTAL
    unsubscribe_mailto: str = ""
    terms: Terms = ONE_WAY
    rehearsal: bool = False


def preview(asked: Asked, shape: Shape) -> bytes | None:
    """The bytes, or None where that kind has no such shape."""
    if shape == "sms":
        return _sms(asked)
    mail = _mail(asked)
    if shape == "eml":
        return compose(mail, _headers(asked))
    shown = {"text": mail.text, "html": mail.html, "ics": mail.calendar}[shape]
    return shown.encode() or None


def _mail(asked: Asked) -> RenderedMail:
    brand, lang, rehearsal = asked.brand, asked.lang, asked.rehearsal
    if asked.kind == "notice":
        return render_notice(replace(_notice(asked), lang=lang, rehearsal=rehearsal))
    if asked.kind == "digest":
        digest = samples.digest_about(_gathered(asked), asked.wording, portal=asked.portal)
        return render_digest(replace(digest, brand=brand, lang=lang, rehearsal=rehearsal))
    letter = samples.letter_about(asked.round, asked.kind, asked.wording, portal=asked.portal)
    return render(replace(letter, brand=brand, lang=lang, rehearsal=rehearsal))


def _notice(asked: Asked) -> NoticeLetter:
    return replace(samples.notice_about(asked.notice, asked.wording, portal=asked.portal), brand=asked.brand)


def _sms(asked: Asked) -> bytes | None:
    text = _text(asked)
    return (rehearsed(text) if asked.rehearsal else text).encode() or None


def _text(asked: Asked) -> str:
    """Empty where that kind has no SMS."""
    sender, lang, wording, terms = asked.brand.municipality, asked.lang, asked.wording, asked.terms
    link = samples.links_at(asked.portal).answer_url
    if asked.kind == "notice":
        return notice_sms(_notice(asked), lang) if wording.words("notices.sms", lang).get(asked.notice) else ""
    if asked.kind == "digest":
        return digest_sms(len(_gathered(asked)), sender=sender, link=link, lang=lang, wording=wording, terms=terms)
    if asked.kind == "reminder":
        on = local(_at(asked)).date()
        return remind_sms(asked.round, sender=sender, link=link, on=on, lang=lang, wording=wording, terms=terms)
    return render_sms(asked.round, sender=sender, link=link, address=_STREET, lang=lang, wording=wording, terms=terms)


def _at(asked: Asked) -> datetime:
    """A reminder is one of the last day but one."""
    return samples.letter_about(asked.round, "reminder").at if asked.kind == "reminder" else samples.AT


def _gathered(asked: Asked) -> tuple[Round, ...]:
    return asked.round, *samples.rounds_of_digest()


def _feedback(asked: Asked) -> str:
    if asked.kind == "digest":
        return feedback_id("", samples.digest_about(_gathered(asked)).gathered, "digest")
    kind = "reminder" if asked.kind == "reminder" else "first"
    return feedback_id(asked.round.case_type, asked.round.purpose.value, kind)


def _headers(asked: Asked) -> MailHeaders:
    """As the notifier makes them; a notice is no list's, and a digest of several cases is answered to the sender."""
    domain = asked.from_address.rpartition("@")[2]
    is_list = asked.kind != "notice"
    stop_url = samples.links_at(asked.portal).stop_url
    official = asked.round.texts.official if asked.kind != "digest" else None
    return MailHeaders(
        message_id=f"sample@{domain}",
        date=_at(asked),
        from_name=asked.brand.sender,
        from_address=asked.from_address,
        to_address="foretag@mail.example",
        list_id=f"dialog.{domain}" if is_list else "",
        unsubscribe_url=stop_url if is_list else "",
        unsubscribe_mailto=stop_mail(asked.unsubscribe_mailto, stop_url) if is_list else "",
        reply_to=(official.email or "") if official else "",
        feedback_id=_feedback(asked) if is_list else "",
    )
