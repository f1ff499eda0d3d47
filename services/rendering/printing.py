"""A letter's pages: a tagged PDF (PDF/UA-1) with its language and title, the same bytes for the same letter.

A sign that the font lacks is shown as an empty box and not left out; the standard forbids such a page, which then is
tagged all the same and claims nothing. Text of a case comes into the page as values, so that nothing in it is read as
markup (FC-041).
"""

import io
import json
from dataclasses import asdict
from datetime import datetime
from importlib import resources
from typing import Final

import segno
import typst

from services.rendering.paper import Paper

_TEMPLATE: Final = resources.files("services.rendering").joinpath("templates/letter.typ").read_bytes()
_NO_GLYPH: Final = "could not be displayed"
_EDGE: Final = 4
"""Empty modules around a QR (ISO/IEC 18004 §9.1)."""


def pdf(letter: Paper, at: datetime) -> bytes:
    """The pages. `at` is when the letter was made."""
    values = {"data": json.dumps({**asdict(letter), "qr": qr(letter.way.url)}, ensure_ascii=False)}
    try:
        return _compiled(values, at, ["ua-1"])
    except typst.TypstError as error:
        if _NO_GLYPH not in error.message:
            raise
        return _compiled(values, at, [])


def _compiled(values: dict[str, str], at: datetime, standards: "list[typst.PDFStandard]") -> bytes:
    compiler = typst.Compiler(_TEMPLATE, ignore_system_fonts=True, sys_inputs=values)
    made = compiler.compile(format="pdf", pdf_standards=standards, timestamp=int(at.timestamp()))
    if not isinstance(made, bytes):
        raise TypeError("typst gave no PDF")
    return made


def qr(text: str) -> str:
    """A QR code as SVG, which a quarter of it may be damaged and still be read."""
    drawn = io.BytesIO()
    segno.make(text, error="q", micro=False).save(drawn, kind="svg", border=_EDGE, xmldecl=False)
    return drawn.getvalue().decode()
