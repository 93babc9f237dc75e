"""Reads the lead exports in the folder LEAD_EXPORTS and prints what became of each beside what should.

    LEAD_EXPORTS=... python -m tests.service.lifecycle.data.exports

The folder holds one set of leads written in many ways: NAME.csv.gz with its lead source NAME.toml.
"""

import gzip
import os
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from service.lifecycle.data.leads import Leads, load
from service.lifecycle.data.source import Source, SourceError, load_source
from service.lifecycle.training.leaks import find_leaks
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


class Outcome(NamedTuple):
    """What became of a file: its leads, or why it was refused."""

    leads: Leads | None
    refusal: str


def folder() -> Path | None:
    """The folder with the exports, None where the variable names none."""
    return Path(os.environ["LEAD_EXPORTS"]) if "LEAD_EXPORTS" in os.environ else None


def names(exports: Path) -> list[str]:
    """The exports, by name."""
    return sorted(path.name.removesuffix(".csv.gz") for path in exports.glob("*.csv.gz"))


def read(exports: Path, name: str, **keys: Any) -> Outcome:
    """Load an export by its lead source, or by that of the German files, which have none; `keys` are further ones."""
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / f"{name}.csv"
        path.write_bytes(gzip.decompress((exports / f"{name}.csv.gz").read_bytes()))
        toml = exports / f"{name}.toml"
        source = load_source(toml if toml.exists() else exports / "base.toml")
        changes = {"path": str(path)} | keys
        if not toml.exists():
            changes |= {"target_column": "Ergebnis", "positive": ("gewonnen",), "id_column": "Lead-Nr."}
        try:
            return Outcome(load(Source.model_copy(source, update=changes)), "")
        except SourceError as error:
            return Outcome(None, str(error))


def fault(name: str, found: Outcome, plain: Leads) -> str:
    """Why the outcome is not the right one; empty where it is."""
    if name in REFUSED or found.leads is None:
        if name not in REFUSED or found.leads is not None:
            return f"refused: {found.refusal}" if found.leads is None else "was read"
        return _unsaid([found.refusal], REFUSED[name])
    leads = found.leads
    if "Created Date" in leads.frame.columns:
        return "times are an input"
    for column in plain.frame.columns.intersection(leads.frame.columns):
        if name in CHANGED.get(column, ()) or name in ("date_wrong_fmt_dayfirst", "rows30"):
            continue
        if not np.array_equal(leads.frame[column], plain.frame[column], equal_nan=leads.frame[column].dtype != object):
            return f"{column} differs"
    absent = plain.frame.columns.difference(leads.frame.columns)
    if len(absent) and not name.startswith("de_"):
        return f"{', '.join(absent)} left out"
    suspected = tuple(leak.columns[0] for leak in find_leaks(leads).findings) if name in LEAKING else ()
    if suspected != LEAKING.get(name, ()):
        return f"likely leaks: {suspected}"
    return _unsaid(leads.notes, NOTED.get(name, ()))


def _unsaid(lines: list[str] | tuple[str, ...], facts: tuple[str | int, ...]) -> str:
    if not facts:
        return ""
    try:
        states(lines, *facts)
    except AssertionError:
        return f"{facts} are not in {lines}"
    return ""


def main() -> int:
    """Print the table; return 1 where a file has another outcome than it should."""
    exports = folder()
    if exports is None:
        sys.exit("name the folder with the exports: LEAD_EXPORTS=...")
    plain = read(exports, "base").leads
    assert plain is not None
    wrong = 0
    for name in names(exports):
        found = read(exports, name)
        problem = fault(name, found, plain)
        wrong += bool(problem)
        said = (
            found.refusal if found.leads is None else f"{len(found.leads.target)} leads; {'; '.join(found.leads.notes)}"
        )
        print(f"{'WRONG' if problem else 'right'}  {name:28} {problem or said.split('.csv', 1)[-1][:150]}")
    print(f"{wrong} of {len(names(exports))} files have another outcome than they should")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
