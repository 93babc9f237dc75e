"""Writes a lead source as TOML: the text of service/examples/crm_template.toml, with what is known of a file filled in.

So every key is explained once, in the template, and a key that is added there is in the files that are written.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.lifecycle.data.source import UNCONFIRMED

TEMPLATE = Path(__file__).parents[2] / "examples/crm_template.toml"
COMMENT_COLUMN = 32
COLUMN_TABLES = ("separators.",)
"""Tables whose keys are names of columns."""

_TABLE = re.compile(r"(?:# ?)?\[(?P<name>\w+)\](?P<rest>.*)")
_KEY = re.compile(r"(?P<off># ?)?(?P<key>[A-Za-z_]\w*) = (?P<rest>.*)")
_REST = re.compile(r'(?P<value>"[^"]*"|\[[^\]]*\]|[^#]*?)\s*(?P<comment>#.*)?')


@dataclass(frozen=True)
class Entry:
    """A key's value and what speaks for it. `confirmed`: training takes it without a person having looked at it.

    A value of None is one that nobody but a person knows. `proposed` values stay a comment: training does without.
    """

    value: Any
    evidence: str = ""
    confirmed: bool = True
    proposed: bool = False


def write(entries: Mapping[str, Entry], head: list[str], template: str | None = None) -> str:
    """The TOML text; a key in a table is called `table.key`. Keys without an entry stay as comments: examples."""
    text = TEMPLATE.read_text(encoding="utf-8") if template is None else template
    _, _, body = text.partition("\n\n")
    return "\n".join([*(f"# {line}".rstrip() for line in head), "", *_lines(entries, body)]) + "\n"


def value_text(value: Any) -> str:
    """A string, number, boolean or list of these as TOML writes it."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(value_text, value))}]"
    # TOML's basic strings have JSON's escapes, but a DEL must be escaped too: https://toml.io/en/v1.0.0#string
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _lines(entries: Mapping[str, Entry], body: str) -> Iterator[str]:
    table, lines = "", body.splitlines()
    for line in lines:
        if found := _TABLE.fullmatch(line):
            table = f"{found['name']}."
            needed = any(key.startswith(table) for key in entries)
            yield f"[{found['name']}]{found['rest']}" if needed else _off(line)
            yield from _columns(table, entries)
        elif found := _KEY.fullmatch(line):
            yield from _key(found, entries.get(table + found["key"]))
        else:
            yield line


def _columns(table: str, entries: Mapping[str, Entry]) -> Iterator[str]:
    """The keys of a table that are names of the file's columns, which no template knows."""
    for key, entry in entries.items():
        if key.startswith(table) and table in COLUMN_TABLES:
            yield f"# {one_line(entry.evidence)}"
            yield f"{value_text(key.removeprefix(table))} = {value_text(entry.value)}"


def _key(found: re.Match[str], entry: Entry | None) -> Iterator[str]:
    if entry is None:
        yield _off(found[0])
        return
    rest = _REST.fullmatch(found["rest"])
    assert rest  # noqa: S101 - it matches any line
    if entry.evidence:
        yield f"# {one_line(entry.evidence)}"
    mark = "# " if entry.proposed else "" if entry.confirmed else UNCONFIRMED
    text = f"{mark}{found['key']} ={'' if entry.value is None else f' {value_text(entry.value)}'}"
    yield f"{text.ljust(COMMENT_COLUMN - 1)} {rest['comment']}" if rest["comment"] else text


def _off(line: str) -> str:
    return line if line.startswith("#") else f"# {line}"


def one_line(text: str) -> str:
    """The text without line ends and other characters that a TOML comment may not hold."""
    return "".join(mark if mark.isprintable() else " " for mark in text)
