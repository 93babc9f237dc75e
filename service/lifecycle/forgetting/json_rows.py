"""Removes leads from JSON lines: prediction records, and rows that were set aside."""

import json
from typing import IO, Any

from service.lifecycle.data.source import ID_COLUMN, SourceError
from service.lifecycle.forgetting.search import Search, Tally
from service.reading.ids import join_key
from service.records import PAGE
from service.storage import Writable

TRIAL = f'"{PAGE}'.encode()
"""In every line of JSON that is a trial on the page."""


def without_lines(origin: str, lines: IO[bytes], out: Writable, search: Search) -> Tally:
    """Copy the lines that are not the leads'. Raises SourceError for a line that is no JSON object."""
    rows = gone = trials = 0
    for number, line in enumerate(lines, 1):
        a_trial = search.trials is not None and TRIAL in line
        look = a_trial or (number == 1 and search.trials is not None) or search.may_be_in(line)
        content = _parsed(origin, number, line) if look and line.strip() else {}
        named = bool(content) and _names(content, search)
        if a_trial and not named:
            a_trial, named = _trial(content, search)
            trials += a_trial and (named or search.trials is None or search.trials.learning)
        if named:
            gone += 1
        else:
            rows += 1
            out.write(line)
    return Tally(rows, gone, trials)


def _parsed(origin: str, number: int, line: bytes) -> dict[str, Any]:
    try:
        content = json.loads(line)
    except ValueError as error:
        raise SourceError(f"{origin}, line {number}: is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise SourceError(f"{origin}, line {number}: is not a JSON object")
    return content


def _names(content: dict[str, Any], search: Search) -> bool:
    """Whether the line is one of the leads'. A row that was set aside may name its lead in its content alone."""
    inputs = content.get("inputs")
    if search.trials and isinstance(inputs, dict):
        search.trials.see(content)
    if not (lead := join_key(content.get(ID_COLUMN))):
        return search.stated_in(str(content.get("content", "")))
    if lead not in search.ids:
        return False
    if search.trials and isinstance(inputs, dict):
        search.trials.learn(lead, inputs)
    return True


def _trial(content: dict[str, Any], search: Search) -> tuple[bool, bool]:
    """Whether the line is a trial on the page, and whether it is one of the leads'."""
    is_one = str(content.get(ID_COLUMN)).startswith(PAGE) and "inputs" in content
    return is_one, bool(is_one and search.trials and search.trials.matches(content))
