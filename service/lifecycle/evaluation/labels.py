"""Labels of scored leads, from the files of outcomes and of contacts."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import pyarrow as pa

from service.lifecycle.data.outcome import OutcomeValues
from service.lifecycle.data.quarantine import Rejected, set_aside
from service.lifecycle.data.source import Source
from service.lifecycle.evaluation.contacts import WrittenContacts, write_contacts
from service.lifecycle.evaluation.outcomes import OutcomeFiles, WrittenOutcomes, write_outcomes
from service.lifecycle.relations.outcomes import LabelRules, labelled
from service.lifecycle.relations.relation import RelationEngine
from service.storage import Storage


@dataclass(frozen=True)
class WrittenLabels:
    """The files are in an engine's relations, by these rules."""

    rules: LabelRules
    outcomes: WrittenOutcomes
    contacts: WrittenContacts

    def set_aside(
        self, results: Mapping[str, pa.Table], leads: Storage
    ) -> tuple[OutcomeFiles, list[Rejected], list[str]]:
        """Keep rejected rows, by the rows of `outcomes.RESULTS`; return what files say, these rows and their objects.

        Raises StorageError.
        """
        files = self.outcomes.read(results)
        keys = [*set_aside(leads, "outcomes", files.rejected), *set_aside(leads, "contacts", self.contacts.rejected)]
        return files, [*files.rejected, *self.contacts.rejected], keys

    def counts(self, files: OutcomeFiles) -> dict[str, int]:
        """Rejected rows by kind of file."""
        return {"outcomes": len(files.rejected), "contacts": len(self.contacts.rejected)}


def write_labels(
    engine: RelationEngine, source: Source, values: OutcomeValues, leads: Storage, columns: Iterable[str], now: datetime
) -> WrittenLabels:
    """Have the engine, which has `first_scores`, label them as of now, with these columns. Raises StorageError.

    See `relations.outcomes.labelled`.
    """
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
    return WrittenLabels(rules, outcomes, contacts)
