"""The lead source that is written of a survey: what is guessed, what a person has to confirm, and what is unknown."""

from pathlib import Path

from service.lifecycle.inspection.outcomes import clear
from service.lifecycle.inspection.roles import RoleCandidate
from service.lifecycle.inspection.show import likely_leaks
from service.lifecycle.inspection.source_file import Entry, write
from service.lifecycle.inspection.survey import Survey

ECONOMICS = ("conversion_value", "contact_cost")


def beside(file: Path) -> Path:
    """Where the lead source of a file is kept unless a person says otherwise."""
    return file.with_name(file.name.removesuffix(".gz")).with_suffix(".toml")


def draft(survey: Survey, toml: Path) -> str:
    """The text of the lead source that is to be kept at `toml`."""
    text = write(_entries(survey, toml.absolute().parent), _head(survey, toml))
    return text.replace("my_leads.toml", toml.name)


def _entries(survey: Survey, folder: Path) -> dict[str, Entry]:
    proposal, keys = survey.proposal, survey.proposal.keys(folder)
    entries = {key: Entry(value) for key, value in keys.items() if value is not None}
    for key, candidates in (("id_column", survey.ids), ("time_column", survey.times)):
        if key in entries:
            entries[key] = Entry(keys[key], _evidence(candidates, keys[key]))
    stated = proposal.economics is not None
    unknown = bool(survey.outcomes and survey.outcomes[0].open and not survey.outcomes[0].lost) and not stated
    for key in ("target_column", "positive", *(["negative"] if proposal.lost or unknown else [])):
        entries[key] = Entry(keys[key], "" if stated else _outcome_evidence(survey, key), confirmed=stated)
    for key in proposal.economics or ECONOMICS:
        entries[f"economics.{key}"] = Entry((proposal.economics or {}).get(key), confirmed=stated)
    if not proposal.leaks and (likely := likely_leaks(survey)):
        entries["leaks"] = Entry(tuple(likely), "These seem to know the outcome: see scripts/check", proposed=True)
    for key, candidates in (("id_column", survey.ids), ("time_column", survey.times)):
        if key not in entries and (doubtful := next((one for one in candidates if one.problem), None)):
            entries[key] = Entry(doubtful.column, f"Not taken: {doubtful.column}: {doubtful.problem}", proposed=True)
    leads = survey.trial.leads if survey.trial else None
    for name, mark in leads.schema.separators.items() if leads else ():
        entries[f"separators.{name}"] = Entry(mark, 'Guess: several choices in a cell; "" where a cell is one value')
    return entries


def _evidence(candidates: list[RoleCandidate], column: str) -> str:
    found = next((candidate.evidence for candidate in candidates if candidate.column == column), "")
    others = [candidate.column for candidate in candidates if candidate.column != column and not candidate.problem]
    more = f". It may also be {', '.join(map(repr, others))}" if others else ""
    return f"Guess: {found}{more}" if found else ""


def _outcome_evidence(survey: Survey, key: str) -> str:
    if key != "target_column":
        return ""
    if not survey.outcomes:
        return "No column of the file looks like the outcome."
    first, *others = survey.outcomes
    values = ", ".join(f"{value!r} {count:,}" for value, count in first.counts.items())
    empty = f", empty {first.empty:,}" if first.empty else ""
    sure = "Guess" if clear(survey.outcomes) else "Not clear"
    more = f". It may also be {', '.join(repr(other.column) for other in others[:5])}" if others else ""
    return f"{sure}: {first.column!r} holds {values}{empty}; {first.evidence}{more}"


def _head(survey: Survey, toml: Path) -> list[str]:
    table, trial = survey.table, survey.trial
    stated = survey.proposal.economics is not None
    lines = [
        f"The lead source of {survey.file.name}: {table.form}; {table.cells.num_rows:,} leads.",
        "How good are the candidates?",
        f"    scripts/train --source {toml.name} --figures",
        "Bring scoring up with it:",
        f"    scripts/up --source {toml.name}",
        "Keys that are commented out are optional and show an example. A key that is not listed here is refused.",
    ]
    if not stated:
        lines += [
            "",
            "Lines that begin with #CONFIRM need a person: correct them where they are wrong, then remove that word.",
            "Until then training refuses this file. Lines below the word Guess are in use; look at them too.",
        ]
    if trial and (trial.refusals or trial.too_few):
        lines += ["", "Training will refuse these leads until this is decided:"]
        lines += [f"    {' '.join(reason.split())}" for reason in filter(None, (*trial.refusals, trial.too_few))]
    return lines
