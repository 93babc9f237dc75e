"""What the jobs' HTML reports are made of: pages of one file that need no network."""

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from html import escape
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

INK = "#7b838d"
"""Can be read on white and on black."""

PLOT_STYLE: Any = {
    **dict.fromkeys(("figure.facecolor", "axes.facecolor", "legend.facecolor"), "none"),
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK),
}

CONTENT_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
STYLE = """
:root { color-scheme: light dark; --ink: #1c2128; --soft: #5b6470; --line: #d8dde3; --paper: #ffffff; --bad: #b3261e; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #d5d9e0; --soft: #98a1ae; --line: #343a44; --paper: #16191f; --bad: #ff8a80; }
}
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 76rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: 0; } h2 { font-size: 1.1rem; margin-top: 2rem; }
p.about { color: var(--soft); margin-top: .25rem; } .bad { color: var(--bad); font-weight: 600; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .25rem .9rem .25rem 0; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { color: var(--soft); font-weight: 500; } th.text, td.text { text-align: left; }
td.long { white-space: normal; min-width: 20rem; }
.plots { margin-top: 1rem; display: grid; grid-template-columns: repeat(auto-fit, minmax(24rem, 1fr)); gap: 1rem; }
img { width: 100%; height: auto; }
"""


def page(title: str, sections: Iterable[str]) -> str:
    """The document. `title` is text; `sections` are HTML."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{CONTENT_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>\n<h1>{escape(title)}</h1>\n"
        + "\n".join(filter(None, sections))
        + "\n</body></html>\n"
    )


def table(
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    text: Sequence[str] = (),
    long: Sequence[str] = (),
    bad: str = "",
) -> str:
    """A table of text. The first column, and those that `text` and `long` name, are aligned to the left; those of
    `long` wrap. Rows with a cell that equals `bad` are highlighted."""
    kinds = ["text" if i == 0 or name in text else "text long" if name in long else "" for i, name in enumerate(header)]

    def line(tag: str, row: Sequence[str]) -> str:
        return "".join(
            f'<{tag} class="{kind}">{escape(cell)}</{tag}>' if kind else f"<{tag}>{escape(cell)}</{tag}>"
            for kind, cell in zip(kinds, row, strict=True)
        )

    body = "\n".join(f"<tr{' class=bad' if bad and bad in row else ''}>{line('td', row)}</tr>" for row in rows)
    head = line("th", header)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table></div>'


def bullets(lines: Sequence[str]) -> str:
    """A list of sentences; nothing where there are none."""
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>" if lines else ""


def plot_style() -> AbstractContextManager[None]:
    """Draw within it: plots for a page have no background, and their text can be read on both of the page's."""
    return mpl.rc_context(PLOT_STYLE)


def images(figures: Mapping[str, Figure]) -> str:
    """The figures side by side, within the page; the keys are what a screen reader says of them."""
    return f'<div class="plots">{"".join(_image(alt, figure) for alt, figure in figures.items())}</div>'


def png(figure: Figure) -> bytes:
    """The figure as a PNG file."""
    out = io.BytesIO()
    figure.savefig(out, format="png")
    return out.getvalue()


def _image(alt: str, figure: Figure) -> str:
    return f'<img src="data:image/png;base64,{base64.b64encode(png(figure)).decode()}" alt="{escape(alt)}">'
