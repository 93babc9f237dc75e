"""The skips that were agreed on: each names a check and a resource, says why, and ends on a day."""

import datetime as dt
import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

FILE = Path(__file__).with_name("skips.toml")
LONGEST = dt.timedelta(days=366)  # a reason is looked at again every year


class SkipError(Exception):
    """The file of skips is not as it should be."""


@dataclass(frozen=True, slots=True)
class Skip:
    """One check that need not pass for some resources."""

    check: str
    resource: str  # storage/google_storage_bucket.access_logs, with * for any text
    reason: str
    expires: dt.date
    environments: tuple[str, ...] = ()  # none: all

    def covers(self, check: str, resource: str) -> bool:
        """Whether it is about this failure of `check` on `<stack>/<address>`."""
        return check == self.check and fnmatchcase(resource, self.resource)


def read(file: Path = FILE, *, today: dt.date) -> list[Skip]:
    """The skips in a file. Raises SkipError for one without reason, or whose day is missing or far away."""
    skips = []
    for entry in tomllib.loads(file.read_text()).get("skip", []):
        try:
            skip = Skip(**{**entry, "environments": tuple(entry.get("environments", ()))})
        except TypeError as error:
            raise SkipError(f"{file.name}: {entry}: {error}") from error
        if len(str(skip.reason).split()) < 4:
            raise SkipError(f"{file.name}: {skip.check} on {skip.resource}: the reason says too little")
        if type(skip.expires) is not dt.date or skip.expires > today + LONGEST:
            raise SkipError(f"{file.name}: {skip.check} on {skip.resource}: expires is a day within a year")
        skips.append(skip)
    return skips
