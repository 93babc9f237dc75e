"""Every place that holds rows of leads, and what no command can reach: the one list, for the search and the docs."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from service.lifecycle.forgetting.search import Search
from service.lifecycle.relations.record_files import CLAIMS, MANIFESTS, TABLES
from service.storage import Storage


@dataclass(frozen=True)
class Place:
    """Objects below a prefix of a storage, which an option of the command names."""

    storage: str
    prefix: str
    holds: str


OUTCOMES, CONTACTS, GROUPS = "outcomes/", "contacts/", "groups/"
PLACES = (
    Place("leads", OUTCOMES, "outcomes, as the CRM delivers them"),
    Place("leads", CONTACTS, "whom sales contacted, as the CRM delivers it"),
    Place("leads", GROUPS, "groups that evaluations go by, as the CRM delivers them"),
    Place("leads", "batch/", "files of leads to be scored"),
    Place("leads", "quarantine/", "rows that the jobs set aside"),
    Place("predictions", "predictions/", "prediction records, of which trials on the page are told by their content"),
    Place("predictions", TABLES, "tables of prediction records, and of each lead's first score"),
    Place("predictions", "batch/", "scores, rows that could not be scored, and how large files are divided"),
)

HOLD_NOBODY = {"predictions": (MANIFESTS, CLAIMS, "leases/")}
"""Objects of the platform that hold no row of a lead, by storage."""

HERE = (
    Place("spool", "", "records that wait for their upload: those of a running service are waited for"),
    Place("also", "", "files and folders of yours, such as scores and their `.quarantine.jsonl.gz`"),
    Place("drafts", ".draft-*", "unfinished files of jobs that died, in all of these folders: deleted whole"),
)
"""What a machine's folders hold besides."""


@dataclass(frozen=True)
class Target:
    """A place to search: the objects below a prefix, or those that are named.

    `id_columns` are the columns with ids in these files, where others than in the rest.
    """

    storage: Storage
    prefix: str
    holds: str = ""
    named: tuple[str, ...] = ()
    id_columns: tuple[str, ...] = ()

    def search(self, search: Search) -> Search:
        """The search as it is done here."""
        return replace(search, id_columns=self.id_columns) if self.id_columns else search

    def keys(self) -> list[str]:
        """The keys of its objects. Raises StorageError."""
        keys = self.named or self.storage.keys(self.prefix)
        return [key for key in keys if not key.startswith((MANIFESTS, CLAIMS))]

    @property
    def url(self) -> str:
        """The address of the place."""
        return f"{self.storage.url}/{self.prefix}"


def targets(storages: Mapping[str, Storage], outcome_ids: tuple[str, ...] = ()) -> list[Target]:
    """PLACES in these storages, each once where both are one. `outcome_ids`: columns of ids in the CRM's files."""
    found = [
        Target(
            storages[p.storage],
            p.prefix,
            p.holds,
            id_columns=outcome_ids if p.prefix in (OUTCOMES, CONTACTS, GROUPS) else (),
        )
        for p in PLACES
    ]
    return list({each.url: each for each in reversed(found)}.values())[::-1]


def outside(storages: Mapping[str, Storage]) -> list[str]:
    """Objects in the storages that are in no place: the platform wrote none of them. Raises StorageError."""
    known: dict[str, tuple[str, ...]] = {}
    for name, storage in storages.items():
        known[storage.url] = known.get(storage.url, ()) + tuple(p.prefix for p in PLACES if p.storage == name)
        known[storage.url] += HOLD_NOBODY.get(name, ())
    addresses = {storage.url: storage for storage in storages.values()}
    return [
        f"{url}/{key}"
        for url, prefixes in known.items()
        for key in addresses[url].keys("")
        if not key.startswith(prefixes) and not key.endswith("/")
    ]


def remains(noncurrent: int | None, soft_delete: int | None, bucket: bool) -> list[str]:
    """What is still there, where, and until when; days as `infra/environments.py` states them."""

    def days(given: int | None, option: str) -> str:
        return f"{given} days" if given is not None else f"the environment's {option} (infra/environments.py)"

    in_bucket = [
        f"earlier states of the rewritten objects: as noncurrent versions for {days(noncurrent, 'noncurrent_days')}, "
        f"then soft-deleted for {days(soft_delete, 'soft_delete_days')}; nobody but who may list versions reads them",
        "uploads to the bucket that were cut short: it deletes them after a week, and nobody can read them",
        "access logs name objects, never leads; they stay for the environment's access_log_days",
        "the spools of running pods, which no other machine reaches: they are uploaded within seconds, so run this "
        "again in a minute; a pod that is deleted takes its spool with it",
    ]
    return (in_bucket if bucket else []) + [
        "copies that you or your backups made, and files that people downloaded from the page",
        "trials on the page (page-...) in which a field was changed: they cannot be told from another lead's; "
        "--page-trials-older-than 0 removes all trials",
        "models were trained on it, but hold no row: bundles, MLflow and reports keep figures and invented rows",
    ]
