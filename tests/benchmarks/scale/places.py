"""Where everything of a world lies, and the times of its records."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

DAYS, MATURITY = 28, 7


@dataclass(frozen=True)
class Places:
    """Storages below `folder`, of records from `since` on."""

    folder: Path
    since: datetime

    @property
    def until(self) -> datetime:
        """The end of the records; the outcomes of all are final at `now`."""
        return self.since + timedelta(days=DAYS)

    @property
    def now(self) -> datetime:
        """When the jobs look at them."""
        return self.until + timedelta(days=MATURITY)

    def url(self, name: str) -> str:
        """The storage of this name: models, predictions or leads."""
        return str(self.folder / name)

    @property
    def source(self) -> Path:
        """The lead source."""
        return self.folder / "source.toml"

    @classmethod
    def at(cls, folder: Path) -> "Places":
        """Those of the world that was made there."""
        return cls(folder, datetime.fromisoformat(json.loads((folder / "world.json").read_text())["since"]))
