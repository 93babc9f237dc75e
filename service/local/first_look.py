"""scripts/up on a bare file of leads: it is checked, a person is asked, and the lead source is written beside it."""

import sys
from pathlib import Path

from rich.console import Console

from service.lifecycle.inspection.draft import beside, draft
from service.lifecycle.inspection.questions import ask
from service.lifecycle.inspection.show import show
from service.lifecycle.inspection.survey import look_at


class NotDecided(Exception):
    """A person has to decide something before there can be a training; the message says where."""


def lead_source(file: Path, console: Console) -> Path:
    """The TOML file to go on with: the one beside the file, or one made of the answers that a person gives.

    Raises SourceError where the file cannot be read, and NotDecided where nobody can be asked, or answers do not help.
    """
    toml = beside(file)
    if toml.exists():
        console.print(f"The lead source {toml} is there and is used", style="dim", markup=False, soft_wrap=True)
        return toml
    survey = look_at(file)
    show(survey, console)
    if survey.ready and sys.stdin.isatty() and console.is_terminal:
        console.print("\nEnter takes the answer in brackets.")
        try:
            survey = ask(survey, console, lambda prompt: console.input(prompt, markup=False, emoji=False))
        except EOFError:
            raise NotDecided("No answer came; nothing was written") from None
    toml.write_text(draft(survey, toml), encoding="utf-8")
    if survey.proposal.economics is None or not survey.ready:
        raise NotDecided(
            f"{toml} is written. It says what a person has to decide: edit it, then scripts/up --source {toml}"
        )
    console.print(f"Written: {toml}", markup=False, soft_wrap=True)
    return toml
