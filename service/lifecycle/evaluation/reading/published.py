"""All model versions that were published: those of prediction records are among them."""

import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from service.model import bundle
from service.model.bundle import BundleRefused, Manifest
from service.storage import Storage

READERS = 16
"""Manifests that are read at once."""

_SUMS = re.compile(rf"{bundle.PREFIX}([^/]+)/{bundle.SUMS}")


def manifests(models: Storage) -> dict[str, Manifest]:
    """The manifest of each version whose manifest is whole. Raises StorageError."""
    versions = [found[1] for key in models.keys(bundle.PREFIX) if (found := _SUMS.fullmatch(key))]
    with ThreadPoolExecutor(READERS) as pool:
        read = zip(versions, pool.map(lambda version: _manifest(models, version), versions), strict=True)
        return {version: manifest for version, manifest in read if manifest}


def _manifest(models: Storage, version: str) -> Manifest | None:
    with suppress(BundleRefused):
        return bundle.read_manifest(models, version)
    return None
