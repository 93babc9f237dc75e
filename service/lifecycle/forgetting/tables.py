"""Keeps the manifests of compacted tables true after tables were rewritten."""

from collections.abc import Collection

import msgspec
from pyarrow import parquet

from service.lifecycle.forgetting.search import Search
from service.lifecycle.relations.lead_keys import part_of
from service.lifecycle.relations.record_files import MANIFESTS, Output, read_manifest, swap_manifest
from service.storage import Storage


def settle(predictions: Storage, search: Search, rewritten: Collection[str]) -> None:
    """Correct generation and records of the leads' tables, and of those rewritten, in their manifests.

    All tables in the leads' parts are looked at: a run that was stopped may have rewritten them. Raises StorageError.
    """
    parts, addresses = {part_of(lead) for lead in search.ids}, set(rewritten)
    for key in list(predictions.keys(MANIFESTS)):
        day = key.removeprefix(f"{MANIFESTS}day=").removesuffix(".json")
        manifest, generation = read_manifest(predictions, day)
        outputs = tuple(
            _current(predictions, each) if each.part in parts or f"{predictions.url}/{each.key}" in addresses else each
            for each in manifest.outputs
        )
        if outputs != manifest.outputs:
            swap_manifest(predictions, day, msgspec.structs.replace(manifest, outputs=outputs), generation)


def _current(predictions: Storage, output: Output) -> Output:
    opened = predictions.open(output.key)
    if opened is None:
        return output
    with opened.file:
        if opened.generation == output.generation:
            return output
        records = parquet.ParquetFile(opened.file, pre_buffer=False).metadata.num_rows
    return msgspec.structs.replace(output, generation=opened.generation, records=records)
