"""The page that people discuss before they agree on a metric: what each one would choose on these leads."""

from pathlib import Path

from rich.console import Console

from service.lifecycle.data.leads import load
from service.lifecycle.data.source import Source
from service.lifecycle.training.selection import Progress, split


def show(source: Source, console: Console, html: Path | None = None, tell: Progress = lambda _: None) -> None:
    """Print the page; write it with a picture to `html`, if given. Raises SourceError and TooFewOutcomes."""
    tell(f"reading the leads of {source.name}")
    leads = load(source)
    parts = split(leads)
    console.print(f"{len(parts.held_out):,} of {len(leads.target):,} leads are held out: {parts.how}", markup=False)
