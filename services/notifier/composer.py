"""The composer that the notifier is run with: services/rendering's words, with this installation's names and links.

The bytes depend on nothing but the values (no clock, no random boundary), so a resend is the same mail with the same
Message-ID and Date.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Literal, TypedDict

from schemas.company import Company
from schemas.invitation import Invitation, InvitedWorkplace
from schemas.notice import STOPPED
from schemas.round import Round
from services.notifier.composing import ANSWER_BY_SMS, Asked, DigestItem, Draft, cases_of
from services.notifier.outcomes.sorting import FORWARDED
from services.notifier.own_words import wording_of
from services.notifier.settings import NotifierOptions
from services.rendering.asking import chosen
from services.rendering.dates import Lang, local
from services.rendering.digest import DigestLetter, Item, render_digest
from services.rendering.frames import Frames
from services.rendering.letter import Brand, Letter, Links
from services.rendering.message import MailHeaders, compose, feedback_id, stop_mail
from services.rendering.notices import NoticeLetter, notice_sms, render_notice
from services.rendering.paper import Paper, Postal, Way, paper
from services.rendering.sms import ONE_WAY, Terms, digest_sms, rehearsed, remind_sms, render_sms
from services.rendering.sms_answer import sms_answer
from services.rendering.why import Workplace
from services.rendering.wording import STANDARD, Wording
from services.runtime.letter_codes import code
from services.runtime.link_tokens import Purpose, mint


class _Texting(TypedDict):
    """What every SMS of an installation is written with."""

    sender: str
    lang: Lang
    wording: Wording
    terms: Terms


class RenderingComposer:
    """Mails and SMS for one installation."""

    def __init__(
        self,
        *,
        portal_url: str,
        sender_name: str,
        sender_email: str,
        token_key: bytes,
        unsubscribe_mailto: str = "",
        privacy_contact: str = "",
        wording: Wording = STANDARD,
        terms: Terms = ONE_WAY,
    ) -> None:
        self._portal = portal_url
        self._name = sender_name
        self._email = sender_email
        self._key = token_key
        self._mailto = unsubscribe_mailto
        self._wording = wording
        self._terms = terms
        self._frames = Frames()
        self._brand = Brand(sender_name, sender_name, privacy_contact or sender_email)

    @property
    def version(self) -> str:
        """Of the words and templates."""
        return self._wording.version

    def compose(
        self, draft: Draft, round_: Round, invitations: Sequence[Invitation], companies: Mapping[str, Company]
    ) -> bytes:
        """The bytes of one message."""
        if draft.channel == "sms":
            facts = _known(invitations, companies)
            street = next((fact.street for fact in facts.values()), "")
            link = self._links(draft).answer_url
            return self._sms(draft, render_sms(round_, link=link, address=street, **self._texting(draft)))
        return self._mail(draft, round_, invitations, companies, "first")

    def remind(
        self, draft: Draft, round_: Round, invitations: Sequence[Invitation], companies: Mapping[str, Company]
    ) -> bytes:
        """The bytes of a reminder."""
        if draft.channel == "sms":
            link, on = self._links(draft).answer_url, local(draft.at).date()
            return self._sms(draft, remind_sms(round_, link=link, on=on, **self._texting(draft)))
        return self._mail(draft, round_, invitations, companies, "reminder")

    def digest(self, draft: Draft, items: Sequence[DigestItem], more: int, companies: Mapping[str, Company]) -> bytes:
        """The bytes of one message about several rounds."""
        links = self._links(draft)
        if draft.channel == "sms":
            return self._sms(draft, digest_sms(len(items) + more, link=links.answer_url, **self._texting(draft)))
        facts = _known([invitation for item in items for invitation in item.invitations], companies)
        letter = DigestLetter(
            brand=self._brand,
            recipients=_recipients(facts),
            items=tuple(
                Item(
                    item.round_,
                    _places(item.invitations),
                    chosen(links.answer_url, item.round_),
                    _left_out(item.invitations),
                )
                for item in items
            ),
            facts=facts,
            links=links,
            at=draft.at,
            gathered=draft.gathered,
            more=more,
            introduce=draft.introduce,
            rehearsal=draft.rehearsal,
            wording=self._wording,
            lang=_lang(draft),
        )
        return compose(
            render_digest(letter), self._headers(draft, None, links, feedback_id("", draft.gathered, "digest"))
        )

    def paper(
        self, draft: Draft, round_: Round, invitation: Invitation, companies: Mapping[str, Company], to: Postal
    ) -> Paper:
        """What stands on a letter to a visiting address. Raises `ValueError` for a number that is none of a letter."""
        letter = self._letter(draft, round_, [invitation], companies, "first")
        way = Way(letter.links.answer_url, code(draft.number, self._key), f"{self._portal}/kod")
        return paper(letter, to, way)

    def _mail(
        self,
        draft: Draft,
        round_: Round,
        invitations: Sequence[Invitation],
        companies: Mapping[str, Company],
        kind: Literal["first", "reminder"],
    ) -> bytes:
        letter = self._letter(draft, round_, invitations, companies, kind)
        feedback = feedback_id(round_.case_type, round_.purpose.value, kind)
        return self._frames.write(letter, self._headers(draft, round_, letter.links, feedback))

    def _letter(
        self,
        draft: Draft,
        round_: Round,
        invitations: Sequence[Invitation],
        companies: Mapping[str, Company],
        kind: Literal["first", "reminder"],
    ) -> Letter:
        facts = _known(invitations, companies)
        return Letter(
            brand=self._brand,
            recipients=_recipients(facts),
            round=round_,
            workplaces=_places(invitations),
            facts=facts,
            links=self._links(draft),
            at=draft.at,
            kind=kind,
            more_workplaces=_left_out(invitations),
            told_at=draft.told_at,
            introduce=draft.introduce,
            rehearsal=draft.rehearsal,
            wording=self._wording,
            lang=_lang(draft),
        )

    def _links(self, draft: Draft) -> Links:
        answer, stop = (mint(draft.number, self._key, purpose) for purpose in (Purpose.ANSWER, Purpose.STOP))
        return Links(
            f"{self._portal}/i/{answer}",
            f"{self._portal}/avsluta/{stop}",
            f"{self._portal}/mina",
            f"{self._portal}/personuppgifter",
            f"{self._portal}/arenden",
        )

    def _texting(self, draft: Draft) -> "_Texting":
        return {"sender": self._name, "lang": _lang(draft), "wording": self._wording, "terms": self._terms}

    def _sms(self, draft: Draft, text: str) -> bytes:
        return (rehearsed(text) if draft.rehearsal else text).encode()

    def notice(self, draft: Draft, asked: Asked) -> bytes:
        """The bytes of a notice. Without a link of its own it leads to the page of the message that it is about."""
        if asked.kind == ANSWER_BY_SMS:
            return self._answer_by_sms(draft, asked)
        letter = NoticeLetter(
            brand=self._brand,
            kind=asked.kind,
            parameters=asked.parameters,
            url=self._portal + (self._page(asked) if asked.path is None else asked.path),
            expires_at=asked.expires_at,
            round=asked.round_,
            rehearsal=draft.rehearsal,
            wording=self._wording,
            lang=_lang(draft),
        )
        if draft.channel == "sms":
            return self._sms(draft, notice_sms(letter, _lang(draft)))
        return compose(render_notice(letter), self._of_notice(draft, asked))

    def _of_notice(self, draft: Draft, asked: Asked) -> MailHeaders:
        domain = self._email.partition("@")[2]
        return MailHeaders(
            message_id=f"{draft.message_id}@{domain}",
            date=draft.at,
            from_name=self._name,
            from_address=self._email,
            to_address=draft.address,
            reply_to=_mailbox(asked.round_),
        )

    def _answer_by_sms(self, draft: Draft, asked: Asked) -> bytes:
        phone, _, words = (asked.path or "").partition("\n")
        return sms_answer(phone, words, cases_of(asked.parameters), self._of_notice(draft, asked), FORWARDED)

    def _page(self, asked: Asked) -> str:
        if asked.about_number is None:
            raise ValueError("a notice has neither a link nor a message that it is about")
        if asked.kind == STOPPED:
            return f"/avsluta/{mint(asked.about_number, self._key, Purpose.STOP)}"
        page = f"/i/{mint(asked.about_number, self._key, Purpose.ANSWER)}"
        return chosen(page, asked.round_) if asked.round_ is not None and "round" in asked.parameters else page

    def _headers(self, draft: Draft, round_: Round | None, links: Links, feedback: str) -> MailHeaders:
        domain = self._email.partition("@")[2]
        return MailHeaders(
            message_id=f"{draft.message_id}@{domain}",
            date=draft.at,
            from_name=self._name,
            from_address=self._email,
            to_address=draft.address,
            list_id=f"dialog.{domain}",
            unsubscribe_url=links.stop_url,
            unsubscribe_mailto=stop_mail(self._mailto, links.stop_url),
            reply_to=_mailbox(round_),
            feedback_id=feedback,
        )


def composer_for(options: NotifierOptions, forms: Collection[str] = ()) -> RenderingComposer:
    """The composer for these settings. Raises `Fault` for words or templates of the municipality's that are unfit."""
    return RenderingComposer(
        portal_url=options.portal_url,
        sender_name=options.sender_name,
        sender_email=options.sender_email,
        token_key=options.key("token_key"),
        unsubscribe_mailto=options.unsubscribe_mailto,
        privacy_contact=options.privacy_contact,
        wording=wording_of(options.templates_folder, forms),
        terms=Terms(options.sms_parts, options.sms_two_way),
    )


def _mailbox(round_: Round | None) -> str:
    """Where the case is answered for, if it has said so."""
    official = round_.texts.official if round_ is not None else None
    return (official.email or "") if official else ""


def _lang(draft: Draft) -> Lang:
    return "en" if draft.language == "en" else "sv"


def _places(invitations: Sequence[Invitation]) -> tuple[InvitedWorkplace, ...]:
    """Each workplace once, by whichever invitation names it."""
    return tuple({place.workplace_id: place for item in invitations for place in item.workplaces}.values())


def _left_out(invitations: Sequence[Invitation]) -> int:
    return sum(invitation.more_workplaces for invitation in invitations)


def _known(invitations: Sequence[Invitation], companies: Mapping[str, Company]) -> dict[str, Workplace]:
    """What the register says of the workplaces, by id."""
    ids = sorted({place.workplace_id for place in _places(invitations)})
    return {key: _facts(companies[key]) for key in ids if key in companies}


def _recipients(facts: Mapping[str, Workplace]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(fact.name for fact in facts.values() if fact.name))


def _facts(company: Company) -> Workplace:
    codes = tuple(industry.code for industry in company.sni)
    return Workplace(company.workplace_id, company.name, company.street, codes)
