"""Mails as they come back, in the forms that servers give them. `{…}` is filled by the test."""

from textwrap import dedent

MESSAGE_ID = "00112233445566778899aabbccddeeff"


def report(
    action: str = "failed",
    status: str = "5.1.1",
    diagnostic: str = "smtp; 550 5.1.1 <anna@exempel.example>: user unknown",
    *,
    to: str = "studs@kommun.example",
    envelope_id: str = "",
    returned: str = f"Message-ID: <{MESSAGE_ID}@kommun.example>",
    more: str = "",
) -> bytes:
    """RFC 3464, as postfix writes it."""
    named = f"Original-Envelope-Id: {envelope_id}\n" if envelope_id else ""
    spoken = f"Diagnostic-Code: {diagnostic}\n" if diagnostic else ""
    text = (
        dedent(f"""\
        Return-Path: <>
        From: MAILER-DAEMON@mx.exempel.example (Mail Delivery System)
        To: {to}
        Auto-Submitted: auto-replied
        Subject: Undelivered Mail Returned to Sender
        MIME-Version: 1.0
        Content-Type: multipart/report; report-type=delivery-status; boundary="grans"

        --grans
        Content-Type: text/plain; charset=us-ascii

        I'm sorry to have to inform you that your message could not be delivered.

        --grans
        Content-Type: message/delivery-status

        Reporting-MTA: dns; mx.exempel.example
        """)
        + named
        + f"\nFinal-Recipient: rfc822; anna@exempel.example\nAction: {action}\nStatus: {status}\n{spoken}{more}\n"
        + f"--grans\nContent-Type: text/rfc822-headers\n\n{returned}\nSubject: Hej\n\n--grans--\n"
    )
    return text.replace("\n", "\r\n").encode()


def mail(subject: str = "Re: Hej", body: str = "Hej hej", *headers: str, sender: str = "anna@exempel.example") -> bytes:
    """A plain mail to us."""
    head = [f"From: {sender}", "To: naringsliv@kommun.example", f"Subject: {subject}", *headers]
    return ("\r\n".join(head) + f"\r\n\r\n{body}\r\n").encode()


def complaint(original: str, fields: str = "") -> bytes:
    """RFC 5965."""
    text = dedent("""\
        From: feedback@post.example
        To: studs@kommun.example
        Subject: FW: Hej
        MIME-Version: 1.0
        Content-Type: multipart/report; report-type=feedback-report; boundary="grans"

        --grans
        Content-Type: text/plain

        This is an email abuse report.

        --grans
        Content-Type: message/feedback-report

        Feedback-Type: abuse
        User-Agent: SomeGenerator/1.0
        Version: 1
        """)
    text += f"{fields}\n--grans\nContent-Type: message/rfc822\n\n{original}\n\nHej\n--grans--\n"
    return text.replace("\n", "\r\n").encode()


QMAIL = """\
Hi. This is the qmail-send program at exempel.example.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<anna@exempel.example>:
Sorry, no mailbox here by that name. (#5.1.1)

--- Below this line is a copy of the message.

Return-Path: <studs@kommun.example>
Message-ID: <00112233445566778899aabbccddeeff@kommun.example>
Subject: Hej
"""

EXIM = """\
This message was created automatically by mail delivery software.

A message that you sent could not be delivered to one or more of its
recipients. This is a permanent error. The following address(es) failed:

  anna@exempel.example
    Unrouteable address

------ This is a copy of the message, including all the headers. ------

Return-path: <studs@kommun.example>
Message-ID: <00112233445566778899aabbccddeeff@kommun.example>
Subject: Hej
"""
