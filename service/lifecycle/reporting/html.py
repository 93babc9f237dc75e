"""The weekly report as one HTML file that needs no network."""

from html import escape

from service.lifecycle.evaluation.page import bullets, page, table
from service.lifecycle.reporting.sheet import Section, Sheet


def html(report: Sheet) -> str:
    """The document."""
    head = [f"<p class=about>{escape(report.about)}</p>", f"<p><strong>{escape(report.headline)}</strong></p>"]
    return page(report.title, [*head, *(part for section in report.sections for part in _section(section))])


def _section(section: Section) -> list[str]:
    rows = table(section.header, section.rows) if section.header else ""
    return [f"<h2>{escape(section.title)}</h2>", rows, bullets(section.sentences)]
