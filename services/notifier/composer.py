"""The composer that the notifier is run with: services/rendering's words, with this installation's names and links.

The bytes depend on nothing but the values (no clock, no random boundary), so a resend is the same mail with the same
Message-ID and Date.
"""

from collections.abc import Mapping, Sequence

from schemas.company import Company
from schemas.invitation import Invitation
from schemas.notice import STOPPED
from schemas.round import Round
from services.notifier.composing import Asked, Draft
from services.notifier.settings import NotifierOptions
from services.rendering.dates import Lang
from services.rendering.mail import Brand, Letter, Links, MailHeaders, compose, render
from services.rendering.notices import NoticeLetter, notice_sms, render_notice
from services.rendering.sms import render_sms
from services.rendering.why import Workplace
from services.runtime.link_tokens import Purpose, mint


class RenderingComposer:
    """Mails and SMS for one installation."""

    def __init__(
        self, *, portal_url: str, sender_name: str, sender_email: str, token_key: bytes, unsubscribe_mailto: str = ""
    ) -> None:
        self._portal = portal_url
        self._name = sender_name
        self._email = sender_email
        self._key = token_key
        self._mailto = unsubscribe_mailto

    def compose(
        self, draft: Draft, round_: Round, invitations: Sequence[Invitation], companies: Mapping[str, Company]
    ) -> bytes:
        """The bytes of one message."""
        places = {place.workplace_id: place for invitation in invitations for place in invitation.workplaces}
        facts = {key: _facts(companies[key]) for key in sorted(places) if key in companies}
        answer, stop = (mint(draft.number, self._key, purpose) for purpose in (Purpose.ANSWER, Purpose.STOP))
        links = Links(f"{self._portal}/i/{answer}", f"{self._portal}/avsluta/{stop}", f"{self._portal}/mina")
        if draft.channel == "sms":
            street = next((fact.street for fact in facts.values()), "")
            lang: Lang = "en" if draft.language == "en" else "sv"
            text = render_sms(round_, sender=self._name, link=links.answer_url, address=street, lang=lang)
            return text.encode()
        letter = Letter(
            brand=Brand(self._name, self._name, self._email),
            recipient=next((fact.name for fact in facts.values() if fact.name), ""),
            round=round_,
            workplaces=tuple(places.values()),
            facts=facts,
            links=links,
            more_workplaces=sum(invitation.more_workplaces for invitation in invitations),
            told_at=draft.told_at,
        )
        return compose(render(letter), self._headers(draft, round_, links))

    def notice(self, draft: Draft, asked: Asked) -> bytes:
        """The bytes of a notice. Without a link of its own it leads to the page of the message that it is about."""
        letter = NoticeLetter(
            brand=Brand(self._name, self._name, self._email),
            kind=asked.kind,
            parameters=asked.parameters,
            url=self._portal + (self._page(asked) if asked.path is None else asked.path),
            expires_at=asked.expires_at,
            round=asked.round_,
        )
        if draft.channel == "sms":
            return notice_sms(letter, "en" if draft.language == "en" else "sv").encode()
        domain = self._email.partition("@")[2]
        headers = MailHeaders(
            message_id=f"{draft.message_id}@{domain}",
            date=draft.at,
            from_name=self._name,
            from_address=self._email,
            to_address=draft.address,
            reply_to=_mailbox(asked.round_),
        )
        return compose(render_notice(letter), headers)

    def _page(self, asked: Asked) -> str:
        if asked.about_number is None:
            raise ValueError("a notice has neither a link nor a message that it is about")
        if asked.kind == STOPPED:
            return f"/avsluta/{mint(asked.about_number, self._key, Purpose.STOP)}"
        return f"/i/{mint(asked.about_number, self._key, Purpose.ANSWER)}"

    def _headers(self, draft: Draft, round_: Round, links: Links) -> MailHeaders:
        domain = self._email.partition("@")[2]
        return MailHeaders(
            message_id=f"{draft.message_id}@{domain}",
            date=draft.at,
            from_name=self._name,
            from_address=self._email,
            to_address=draft.address,
            list_id=f"dialog.{domain}",
            unsubscribe_url=links.stop_url,
            unsubscribe_mailto=self._stop_by_mail(links),
            reply_to=_mailbox(round_),
        )

    def _stop_by_mail(self, links: Links) -> str:
        """The subject holds the link's token, so that whoever reads that mailbox knows what to stop."""
        token = links.stop_url.rpartition("/")[2]
        return f"mailto:{self._mailto}?subject=avsluta%20{token}" if self._mailto else ""


def composer_for(options: NotifierOptions) -> RenderingComposer:
    """The composer for these settings."""
    return RenderingComposer(
        portal_url=options.portal_url,
        sender_name=options.sender_name,
        sender_email=options.sender_email,
        token_key=options.key("token_key"),
        unsubscribe_mailto=options.unsubscribe_mailto,
    )


def _mailbox(round_: Round | None) -> str:
    """Where the case is answered for, if it has said so."""
    official = round_.texts.official if round_ is not None else None
    return (official.email or "") if official else ""


def _facts(company: Company) -> Workplace:
    codes = tuple(industry.code for industry in company.sni)
    return Workplace(company.workplace_id, company.name, company.street, codes)
