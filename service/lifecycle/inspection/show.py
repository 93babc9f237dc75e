"""Prints what a survey found. Names and ids are folded on a narrow terminal, never cut."""

from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.markup import escape

from service.lifecycle.data.columns import Column
from service.lifecycle.evaluation.terminal import terminal_table
from service.lifecycle.inspection.outcomes import CLEAR_SCORE, MAX_VALUES, OutcomeCandidate
from service.lifecycle.inspection.roles import RoleCandidate
from service.lifecycle.inspection.survey import Survey
from service.lifecycle.runtime.runner import printable
from service.reading.cells import as_text

EXAMPLES, EXAMPLE_LENGTH = 3, 40
"""Values shown of a column, the most frequent ones, and characters of each."""
WIDE = 100
"""Columns of a terminal in whose table examples have a place; below they follow it, or an id is broken into pieces."""
CANDIDATES = 5
"""Columns shown as candidates for one role."""


def show(survey: Survey, console: Console) -> None:
    """Print all that was found, and what stands in the way of a training last."""
    table = survey.table
    _line(console, f"{table.origin}: {table.form}; {table.cells.num_rows:,} leads, {table.cells.num_columns} columns")
    rows = [list(_row(survey, column)) for column in survey.columns.values()]
    header = ["column", "kind", "use", "missing", "different", "examples"]
    if console.width < WIDE:
        console.print(terminal_table(header[:-1], [row[:-1] for row in rows], text=("kind", "use")))
        _section(console, "Examples", (f"{name}: {_examples(column)}" for name, column in survey.columns.items()))
    else:
        console.print(terminal_table(header, rows, text=("kind", "use", "examples"), padding=2))
    _section(console, "Left out, and how cells are read", _notes(survey))
    _section(console, "The outcome", _outcomes(survey))
    _section(console, "The lead's id", _roles(survey.ids), "no column looks like one; the model can do without")
    _section(
        console,
        "The time at which a lead arrived",
        _roles(survey.times),
        "no column looks like one; leads are then held out at random",
    )
    report = survey.trial.leaks if survey.trial else None
    _section(console, "Likely leaks", report.lines if report else (), "looked for once the leads can be trained on")
    _section(console, "Duplicates", _duplicates(survey), "none")
    _section(console, "To train", _to_train(survey))


def likely_leaks(survey: Survey) -> list[str]:
    """Inputs that seem to know the outcome."""
    report = survey.trial.leaks if survey.trial else None
    likely = [finding for finding in report.findings if finding.likely and finding.is_input] if report else []
    return list(dict.fromkeys(name for finding in likely for name in finding.columns))


def _line(console: Console, text: str) -> None:
    console.print(printable(text), markup=False, highlight=False, soft_wrap=True, emoji=False)


def _section(console: Console, title: str, lines: Iterable[str], otherwise: str = "") -> None:
    shown = list(lines) or [otherwise]
    if shown == [""]:
        return
    console.print(f"\n{title}", style="bold", highlight=False)
    for line in shown:
        _line(console, f"  {line}")


def _row(survey: Survey, column: Column) -> Iterator[str]:
    kind, filled = column.kind(), _filled(column)
    missing = 1 - sum(n for _, n in filled) / len(column.codes)
    yield escape(printable(column.name))
    shown = {None: "empty", "boolean": "yes/no", "category": "text"}.get(kind, str(kind))
    yield "choices" if column.separator else shown
    yield _use(survey, column.name)
    yield f"{missing:.0%}" if missing == 0 or missing >= 0.005 else "< 1%"
    yield f"{len(filled):,}"
    yield escape(printable(_examples(column)))


def _filled(column: Column) -> list[tuple[object, int]]:
    """The values that are no mark for "no value", and in how many leads each stands."""
    absent = _marks(column)
    return [(value, int(n)) for value, n in zip(column.values, column.counts, strict=True) if value not in absent]


def _examples(column: Column) -> str:
    most = sorted(_filled(column), key=lambda pair: -pair[1])[:EXAMPLES]
    return ", ".join(_example(value) for value, _ in most)


def _marks(column: Column) -> list[str]:
    """Marks for "no value" that the column holds."""
    kind = column.kind()
    return column.nothing(kind) if kind in ("number", "boolean", "category") else []


def _example(value: object) -> str:
    text = as_text(value) or str(value)
    return text if len(text) <= EXAMPLE_LENGTH else f"{text[: EXAMPLE_LENGTH - 1]}…"


def _use(survey: Survey, name: str) -> str:
    proposal = survey.proposal
    roles = {proposal.target: "outcome", proposal.id_column: "id", proposal.time_column: "time"}
    if name in roles:
        return roles[name]
    if survey.trial is None or survey.trial.leads is None:
        return ""
    if name in survey.trial.refused:
        return "refused"
    return "input" if name in survey.trial.leads.frame.columns else "left out"


def _notes(survey: Survey) -> list[str]:
    """The lines that training would print, without those that have a section of their own."""
    if survey.trial and survey.trial.leads:
        elsewhere = {f"{name}: left out, as leave_out says" for name in survey.trial.refused}
        return [note for note in survey.trial.leads.notes if note not in elsewhere]
    return [
        *survey.table.notes,
        *(f"{name}: {note}" for name, column in survey.columns.items() for note in column.finding.notes),
    ]


def _outcomes(survey: Survey) -> Iterator[str]:
    candidates = survey.outcomes
    if survey.proposal.target is None:
        few = [name for name, column in survey.columns.items() if 2 <= len(column.values) <= MAX_VALUES]
        yield "no column clearly is one; name it with --outcome COLUMN and --won VALUE"
        yield f"columns of few values are {', '.join(map(repr, few)) or 'not there'}"
    for candidate in candidates[:CANDIDATES]:
        values = ", ".join(f"{v!r} {count:,}{_verdict(candidate, v)}" for v, count in candidate.counts.items())
        empty = f", empty {candidate.empty:,} (open)" if candidate.empty else ""
        yield f"{candidate.column}: {values}{empty}: {candidate.evidence}"
    if len(candidates) > CANDIDATES:
        yield f"and {len(candidates) - CANDIDATES} more columns of yes and no"


def _verdict(candidate: OutcomeCandidate, value: str) -> str:
    if not candidate.won or candidate.score < CLEAR_SCORE:
        return ""
    return " (won)" if value in candidate.won else " (lost)" if value in candidate.lost else " (open)"


def _roles(candidates: list[RoleCandidate]) -> Iterator[str]:
    for candidate in candidates[:CANDIDATES]:
        yield f"{candidate.column}: {'; '.join(filter(None, [candidate.evidence, candidate.problem]))}"


def _duplicates(survey: Survey) -> Iterator[str]:
    if repeated := survey.repeated_rows:
        yield f"{repeated:,} rows repeat another row in all cells"


def _to_train(survey: Survey) -> Iterator[str]:
    trial = survey.trial
    if trial is None:
        yield "the outcome has to be named first: which column, and which value means won"
        return
    yield from (f"refused: {reason}" for reason in trial.refusals)
    if trial.leads is None:
        return
    converted, leads = int(trial.leads.target.sum()), len(trial.leads.target)
    won = " or ".join(map(repr, survey.proposal.won))
    yield f"{converted:,} of {leads:,} leads converted ({converted / leads:.1%}), if {survey.proposal.target} = {won}"
    after = " once that is decided" if trial.refusals else ""
    yield f"not enough: {trial.too_few}" if trial.too_few else f"that is enough to train{after}"
