"""Reads the lead exports in the folder LEAD_EXPORTS and prints what became of each beside what should.

    LEAD_EXPORTS=... python -m tests.service.lifecycle.data.exports [--before COMMIT]

With --before the code of an earlier commit reads them too, and its outcome stands beside today's.
The folder holds one set of leads written in many ways: NAME.csv.gz with its lead source NAME.toml.
"""

import argparse
import gzip
import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from service.lifecycle.data.leads import Leads, load
from service.lifecycle.data.source import Source, SourceError, load_source
from service.lifecycle.training.candidates import candidates
from service.lifecycle.training.leaks import find_leaks
from service.lifecycle.training.onnx_export import to_onnx
from tests.facts import states

CHANGED: dict[str, tuple[str, ...]] = {
    "Annual Revenue": (
        "de_thousands_only",
        "hash_na",
        "numbers_na15",
        "numbers_na4",
        "rev_int_unique",
        "us_thousands_int",
        "usd",
    ),
    "Discount": ("de_decimal_unsaid", "neg_unicode"),
    "Email Opt In": ("bool_checked",),
    "Industry": ("emoji", "quote_in_plain"),
    "Lead Source": ("none_null", "semicolon_first_rows_comma"),
    "Web Visits": ("de_other_spelling", "de_plain", "de_totals"),
}
"""Columns in which these files hold other values than the plain one."""

REFUSED: dict[str, tuple[str | int, ...]] = {
    "empty": ("empty",),
    "de_blank_lines": ("row 904", "'x211947,02'"),
    "header_only": ("no leads",),
    "nul": ("row 113", "NUL"),
    "one_class": ("Converted", "'1'"),
    "quoted_newlines_bad": ("row 702", "blank: 1"),
    "blank_lines_bad": ("row 904", "blank: 1"),
    "sameid": ("'same'",),
    "sci": ("'1.23457E+17'", "digits"),
    "target_blank_open": ("blank: 246", "negative", "absent_after_days"),
    "target_three": ("negative", "absent_after_days"),
}
"""Files that cannot be used, and what the refusal says."""

NOTED: dict[str, tuple[str, ...]] = {
    "blank_header": ("column 11", "name"),
    "blank_header_mid": ("column 4", "name"),
    "case_variants": ("Lead Source", "spellings"),
    "cp1252": ("Windows-1252", "';'"),
    "date_de": ("Created Date", "left out", "day first"),
    "date_us": ("Created Date", "left out", "month first"),
    "date_compact": ("Created Date", "left out", "yyyymmdd"),
    "date_epoch_ms": ("Created Date", "left out", "milliseconds"),
    "date_excel_serial": ("Created Date", "left out", "spreadsheet days"),
    "date_wrong_fmt_dayfirst": ("Created Date", "CHECK", "'%d/%m/%Y'"),
    "de_decimal_comma_thousands": ("Annual Revenue", "1.234,5"),
    "dup_columns": ("column 10", "'Industry'"),
    "eur_suffix": ("Annual Revenue", "EUR"),
    "footer_confidential": ("rows 1504, 1505", "left out"),
    "none_null": ("Lead Source", "'NULL'"),
    "numbers_na15": ("Annual Revenue", "'n/a'"),
    "percent": ("Discount", "%"),
    "target_wrong_case": ("'Converted'",),
    "totals_row": ("row 1502", "left out"),
    "us_thousands": ("Annual Revenue", "1,234.5"),
    "utf16le_tab": ("UTF-16", "tab"),
}
"""What the lines about a file say."""

LEAKING: dict[str, tuple[str, ...]] = {
    "leak_missing": ("Converted Account ID", "Close Date"),
    "target_case": ("converted",),
}
"""Files with columns that know the outcome."""


CHOICES: dict[str, dict[str, tuple[str, frozenset[str]]]] = {
    "multiselect": {"Products": (";", frozenset({"AI", "BI", "CRM", "Cloud", "ERP", "HR", "IoT", "SCM"}))},
}
"""Columns with several choices in a cell, with their separator and the choices: each is an input, in no other file."""


READ_BEFORE = """
import gzip, pickle, sys, tempfile
from pathlib import Path
from service.lifecycle.data.leads import load
from service.lifecycle.data.source import SourceError, load_source

exports, found = Path(sys.argv[1]), {}
for packed in sorted(exports.glob("*.csv.gz")):
    name = packed.name.removesuffix(".csv.gz")
    path = Path(tempfile.mkdtemp(dir=".")).absolute() / f"{name}.csv"
    path.write_bytes(gzip.decompress(packed.read_bytes()))
    toml, changes = exports / f"{name}.toml", {"path": str(path)}
    if not toml.exists():
        toml = exports / "base.toml"
        changes |= {"target_column": "Ergebnis", "positive": "gewonnen", "id_column": "Lead-Nr."}
    try:
        leads = load(load_source(toml).model_copy(update=changes))
        found[name] = ("", leads.frame, leads.notes)
    except SourceError as error:
        found[name] = (str(error), None, ())
Path(sys.argv[2]).write_bytes(pickle.dumps(found))
"""
"""Reads the exports with the code of an earlier commit, which has other names elsewhere."""


class Outcome(NamedTuple):
    """What became of a file: what was read and the lines about it, or why it was refused.

    `leaks` are the columns that are likely to know the outcome; they are looked for where LEAKING names the file.
    """

    leads: Leads | None
    refusal: str
    frame: pd.DataFrame | None = None
    notes: tuple[str, ...] = ()
    leaks: tuple[str, ...] = ()

    @property
    def choices(self) -> dict[str, tuple[str, frozenset[str]]]:
        """The columns whose cells hold several choices: the separator, and the choices that are inputs of a model."""
        if self.leads is None:
            return {}
        schema, frame = self.leads.schema, self.leads.frame
        pipeline = candidates(schema, frame)["logistic_regression"] if schema.separators else None
        inputs = to_onnx(pipeline.fit(frame, self.leads.target)).encoding.categories if pipeline else {}
        return {name: (mark, frozenset(inputs[name].columns) - {""}) for name, mark in schema.separators.items()}


def folder() -> Path | None:
    """The folder with the exports, None where the variable names none."""
    return Path(os.environ["LEAD_EXPORTS"]) if "LEAD_EXPORTS" in os.environ else None


def names(exports: Path) -> list[str]:
    """The exports, by name."""
    return sorted(path.name.removesuffix(".csv.gz") for path in exports.glob("*.csv.gz"))


def source(exports: Path, name: str, path: Path) -> Source:
    """The lead source of an export that was unpacked to `path`; the German files have one that is not in the folder."""
    toml = exports / f"{name}.toml"
    found = load_source(toml if toml.exists() else exports / "base.toml")
    changes: dict[str, Any] = {"path": str(path)}
    if not toml.exists():
        changes |= {"target_column": "Ergebnis", "positive": ("gewonnen",), "id_column": "Lead-Nr."}
    return Source.model_copy(found, update=changes)


def read(exports: Path, name: str, **keys: Any) -> Outcome:
    """Load an export by its lead source, with these keys changed."""
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / f"{name}.csv"
        path.write_bytes(gzip.decompress((exports / f"{name}.csv.gz").read_bytes()))
        try:
            leads = load(source(exports, name, path).model_copy(update=keys))
        except SourceError as error:
            return Outcome(None, str(error))
    leaks = tuple(leak.columns[0] for leak in find_leaks(leads).findings) if name in LEAKING else ()
    return Outcome(leads, "", leads.frame, leads.notes, leaks)


def fault(name: str, found: Outcome, plain: pd.DataFrame) -> str:
    """Why the outcome is not the right one, given the columns of the plain file; empty where it is."""
    if name in REFUSED or found.frame is None:
        if name not in REFUSED or found.frame is not None:
            return f"refused: {found.refusal}" if found.frame is None else "was read"
        return _unsaid([found.refusal], REFUSED[name])
    if "Created Date" in found.frame.columns:
        return "times are an input"
    for column in plain.columns.intersection(found.frame.columns):
        if name in CHANGED.get(column, ()) or name in ("date_wrong_fmt_dayfirst", "rows30"):
            continue
        values, wanted = found.frame[column], plain[column]
        if values.dtype != wanted.dtype or not np.array_equal(values, wanted, equal_nan=values.dtype != object):
            return f"{column} differs"
    if found.leads and found.choices != CHOICES.get(name, {}):
        return f"several choices: {found.choices}"
    absent = plain.columns.difference(found.frame.columns)
    if len(absent) and not name.startswith("de_"):
        return f"{', '.join(absent)} left out"
    if found.leaks != LEAKING.get(name, ()):
        return f"likely leaks: {found.leaks}"
    return _unsaid(found.notes, NOTED.get(name, ()))


def before(exports: Path, commit: str) -> dict[str, Outcome]:
    """What became of each file under the code of that commit."""
    with tempfile.TemporaryDirectory() as temporary:
        archive = subprocess.run(["git", "archive", commit, "service"], check=True, capture_output=True).stdout
        subprocess.run(["tar", "-x", "-C", temporary], input=archive, check=True)
        found = Path(temporary) / "found"
        words = [sys.executable, "-c", READ_BEFORE, str(exports), str(found)]
        subprocess.run(words, check=True, cwd=temporary, env={**os.environ, "PYTHONPATH": temporary})
        read_then: dict[str, tuple[str, pd.DataFrame | None, tuple[str, ...]]] = pickle.loads(found.read_bytes())
    return {
        name: Outcome(None, refusal, frame, notes, tuple(n.split(":")[0] for n in notes if "LIKELY LEAK" in n))
        for name, (refusal, frame, notes) in read_then.items()
    }


def _unsaid(lines: list[str] | tuple[str, ...], facts: tuple[str | int, ...]) -> str:
    if not facts:
        return ""
    try:
        states(lines, *facts)
    except AssertionError:
        return f"{facts} are not in {lines}"
    return ""


def main(arguments: list[str] | None = None) -> int:
    """Print the table; return 1 where a file has another outcome than it should."""
    parser = argparse.ArgumentParser(prog="python -m tests.service.lifecycle.data.exports", description=__doc__)
    parser.add_argument("--before", metavar="COMMIT", help="also let the code of this commit read the files")
    options = parser.parse_args(arguments)
    exports = folder()
    if exports is None:
        parser.error("name the folder with the exports: LEAD_EXPORTS=...")
    then = before(exports, options.before) if options.before else {}
    plain = read(exports, "base").frame
    assert plain is not None
    wrong = wrong_then = 0
    for name in names(exports):
        found = read(exports, name)
        problem = fault(name, found, plain)
        wrong += bool(problem)
        told = found.refusal if found.frame is None else f"{len(found.frame)} leads; {'; '.join(found.notes)}"
        print(f"{'WRONG' if problem else 'right'}  {name:28} {_brief(problem or told, 150)}")
        if then:
            problem_then = fault(name, then[name], plain)
            wrong_then += bool(problem_then)
            print(f"{'WRONG' if problem_then else 'right'}    {options.before:26} {_brief(problem_then, 150)}")
    if then:
        print(f"{wrong_then} of {len(then)} files had another outcome than they should at {options.before}")
    print(f"{wrong} of {len(names(exports))} files have another outcome than they should")
    return int(wrong > 0)


def _brief(text: str, longest: int) -> str:
    return text.split(".csv", 1)[-1].replace("\n", " ")[:longest]


if __name__ == "__main__":
    sys.exit(main())
