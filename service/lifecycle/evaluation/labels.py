"""Labels of scored leads, from the files of outcomes and of contacts."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import pyarrow as pa

from service.lifecycle.data.outcome import OutcomeValues
from service.lifecycle.data.quarantine import Kind, Rejected, set_aside
from service.lifecycle.data.source import Source
from service.lifecycle.evaluation.contacts import WrittenFiles, write_contacts, write_groups
from service.lifecycle.evaluation.outcomes import OutcomeFiles, WrittenOutcomes, write_outcomes
from service.lifecycle.relations.outcomes import LabelRules, labelled
from service.lifecycle.relations.relation import RelationEngine
from service.storage import Storage


@dataclass(frozen=True)
class WrittenLabels:
    """The files are in an engine's relations, by these rules."""

    rules: LabelRules
    outcomes: WrittenOutcomes
    contacts: WrittenFiles
    groups: WrittenFiles

    def set_aside(
        self, results: Mapping[str, pa.Table], leads: Storage
    ) -> tuple[OutcomeFiles, list[Rejected], list[str]]:
        """Keep rejected rows, by the rows of `outcomes.RESULTS`; return what files say, these rows and their objects.

        Raises StorageError.
        """
        files = self.outcomes.read(results)
        rejected = {"outcomes": files.rejected, **self._others}
        keys = [key for kind, rows in rejected.items() for key in set_aside(leads, kind, rows)]
        return files, [row for rows in rejected.values() for row in rows], keys

    def counts(self, files: OutcomeFiles) -> dict[str, int]:
        """Rejected rows by kind of file."""
        return {kind: len(rows) for kind, rows in {"outcomes": files.rejected, **self._others}.items()}

    @property
    def _others(self) -> dict[Kind, tuple[Rejected, ...]]:
        return {"contacts": self.contacts.rejected, "groups": self.groups.rejected}


def write_labels(
    engine: RelationEngine,
    source: Source,
    values: OutcomeValues,
    leads: Storage,
    columns: Iterable[str],
    now: datetime,
    by_group: bool = False,
) -> WrittenLabels:
    """Have the engine, which has `first_scores`, label them as of now, with these columns. Raises StorageError.

    See `relations.outcomes.labelled`. With `by_group` it also counts them by the source's groups, where there are any.
    """
    by_group = by_group and bool(source.groups)
    columns = [*(["lead_key"] if by_group else []), *columns]
    contacts = write_contacts(engine, source, leads)
    outcomes = write_outcomes(engine, source, values, leads)
    maturity = timedelta(days=source.maturity_days)
    rules = LabelRules(
        ripe=now - maturity,
        maturity=maturity,
        complete=outcomes.complete_until(now),
        outcomes_of=source.outcomes_of,
        contact_log=contacts.files > 0,
        zone=source.timezone,
    )
    engine.define(labelled(columns, rules))
    groups = write_groups(engine, source, leads) if by_group else WrittenFiles(0, ())
    return WrittenLabels(rules, outcomes, contacts, groups)
