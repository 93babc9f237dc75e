"""The weekly report as a PDF of one page, A4."""

import io
from functools import cache
from pathlib import Path
from xml.sax.saxutils import escape

import matplotlib as mpl
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase.pdfmetrics import registerFont, registerFontFamily
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import Flowable, Frame, KeepInFrame, PageTemplate, Paragraph, Spacer, Table, TableStyle
from reportlab.platypus.doctemplate import BaseDocTemplate

from service.lifecycle.reporting.sheet import Section, Sheet

FONT = "DejaVuSans"
"""Matplotlib brings it; a PDF reader's own fonts have Western European letters alone."""

MARGIN = 18 * mm
INK, SOFT, LINE, PALE = (colors.HexColor(code) for code in ("#1c2128", "#5b6470", "#d8dde3", "#eef2f7"))
NUMBERS_WIDE = 28 * mm


def pdf(report: Sheet) -> bytes:
    """The file; what does not fit on the page is set in smaller letters. The same report makes the same bytes."""
    _register()
    width, height = A4[0] - 2 * MARGIN, A4[1] - 2 * MARGIN
    # A report's cells are text of ours, but names of columns in it are a source's: no markup may come of them.
    content: list[Flowable] = [
        Paragraph(escape(report.title), _style(17, bold=True, after=3)),
        Paragraph(escape(report.about), _style(9, SOFT, after=9)),
        _framed(report.headline, width),
        *(flowable for section in report.sections for flowable in _section(section, width)),
    ]
    out = io.BytesIO()
    document = BaseDocTemplate(out, pagesize=A4, title=report.title, author="lead scoring", invariant=1, lang="en")
    frame = Frame(MARGIN, MARGIN, width, height, leftPadding=0, rightPadding=0, topPadding=0, bottomPadding=0)
    document.addPageTemplates(PageTemplate(frames=[frame]))
    document.build([KeepInFrame(width, height, content, mode="shrink")])
    return out.getvalue()


@cache
def _register() -> None:
    folder = Path(mpl.get_data_path()) / "fonts" / "ttf"
    for name in (FONT, f"{FONT}-Bold"):
        registerFont(TTFont(name, str(folder / f"{name}.ttf")))
    registerFontFamily(FONT, normal=FONT, bold=f"{FONT}-Bold", italic=FONT, boldItalic=f"{FONT}-Bold")


def _style(
    size: float, colour: colors.Color = INK, bold: bool = False, after: float = 0, **more: object
) -> ParagraphStyle:
    name = f"{FONT}-Bold" if bold else FONT
    return ParagraphStyle(
        "text", fontName=name, fontSize=size, leading=1.35 * size, textColor=colour, spaceAfter=after, **more
    )


def _framed(headline: str, width: float) -> Table:
    around = [("BACKGROUND", (0, 0), (-1, -1), PALE), *((f"{side}PADDING", (0, 0), (-1, -1), 9) for side in _SIDES)]
    return Table([[Paragraph(escape(headline), _style(12.5, bold=True))]], colWidths=[width], style=TableStyle(around))


_SIDES = ("LEFT", "RIGHT", "TOP", "BOTTOM")


def _section(section: Section, width: float) -> list[Flowable]:
    found: list[Flowable] = [Spacer(1, 11), Paragraph(escape(section.title), _style(12, bold=True, after=4))]
    if section.header:
        found += [_table(section, width), Spacer(1, 5)]
    sentence = _style(9.5, after=3, leftIndent=9, bulletIndent=0)
    return [*found, *(Paragraph(escape(text), sentence, bulletText="•") for text in section.sentences)]


def _table(section: Section, width: float) -> Table:
    rows = [section.header, *section.rows]
    numbers = len(section.header) - 1
    ruled = [
        ("FONT", (0, 0), (-1, -1), FONT, 9.5),
        ("TEXTCOLOR", (0, 0), (-1, -1), INK),
        ("TEXTCOLOR", (0, 0), (-1, 0), SOFT),
        ("ALIGN", (1, 0), (-1, -1), "RIGHT"),
        ("LEFTPADDING", (0, 0), (0, -1), 0),
        ("LINEBELOW", (0, 0), (-1, -1), 0.5, LINE),
    ]
    widths = [width - numbers * NUMBERS_WIDE, *[NUMBERS_WIDE] * numbers]
    return Table(rows, colWidths=widths, style=TableStyle(ruled))
