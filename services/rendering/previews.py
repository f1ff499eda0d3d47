"""What a message of any kind looks like, in any shape: with made-up names and links, about a given round."""

from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from schemas.round import Round
from services.rendering import samples
from services.rendering.dates import Lang, local
from services.rendering.digest import render_digest
from services.rendering.letter import Brand
from services.rendering.mail import render
from services.rendering.message import MailHeaders, RenderedMail, compose
from services.rendering.notices import notice_sms, render_notice
from services.rendering.sms import digest_sms, remind_sms, render_sms
from services.rendering.wording import STANDARD, Wording

Kind: TypeAlias = Literal["first", "reminder", "digest", "feedback", "change", "notice"]
Shape: TypeAlias = Literal["text", "html", "eml", "ics", "sms"]
_STREET: Final = "Stockholmsvägen 40"


@dataclass(frozen=True, slots=True)
class Asked:
    """What to show. `round` is what a message is about, and what a digest has beside others."""

    kind: Kind
    round: Round
    notice: str = "receipt"
    brand: Brand = samples.BRAND
    from_address: str = "dialog@kommun.example"
    lang: Lang = "sv"
    wording: Wording = STANDARD


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
    if asked.kind == "notice":
        return render_notice(replace(samples.notice_about(asked.notice, asked.wording), brand=asked.brand))
    if asked.kind == "digest":
        rounds = _gathered(asked)
        return render_digest(replace(samples.digest_about(rounds, asked.wording), brand=asked.brand))
    return render(replace(samples.letter_about(asked.round, asked.kind, asked.wording), brand=asked.brand))


def _sms(asked: Asked) -> bytes | None:
    sender, link, lang, wording = asked.brand.municipality, samples.LINKS.answer_url, asked.lang, asked.wording
    if asked.kind == "notice":
        if not wording.words("notices.sms", lang).get(asked.notice):
            return None
        return notice_sms(replace(samples.notice_about(asked.notice, wording), brand=asked.brand), lang).encode()
    if asked.kind == "digest":
        return digest_sms(len(_gathered(asked)), sender=sender, link=link, lang=lang, wording=wording).encode()
    if asked.kind == "reminder":
        on = local(samples.letter_about(asked.round, asked.kind).at).date()
        return remind_sms(asked.round, sender=sender, link=link, on=on, lang=lang, wording=wording).encode()
    return render_sms(asked.round, sender=sender, link=link, address=_STREET, lang=lang, wording=wording).encode()


def _gathered(asked: Asked) -> tuple[Round, ...]:
    return asked.round, *samples.rounds_of_digest()


def _headers(asked: Asked) -> MailHeaders:
    """As the notifier makes them; a notice is no list's."""
    domain = asked.from_address.rpartition("@")[2]
    is_list = asked.kind != "notice"
    return MailHeaders(
        message_id=f"sample@{domain}",
        date=samples.AT,
        from_name=asked.brand.sender,
        from_address=asked.from_address,
        to_address="foretag@mail.example",
        list_id=f"dialog.{domain}" if is_list else "",
        unsubscribe_url=samples.LINKS.stop_url if is_list else "",
    )
