"""The contact rule that recent scores imply: `contact_rules/<version>.json`, beside the pointer.

It takes the place of the rule in the bundle, which cannot be changed.
"""

from typing import NamedTuple

from pydantic import ValidationError

from service.model.bundle import BundleRefused
from service.model.contact_rule import ContactRule
from service.storage import Storage

RULES = "contact_rules/"


class StoredRule(NamedTuple):
    """The rule of a version, and the generation of its object; None and None where there is none."""

    rule: ContactRule | None
    generation: str | None


def read_rule(models: Storage, version: str) -> StoredRule:
    """The rule that takes the place of the bundle's own. Raises BundleRefused if malformed, and StorageError."""
    key = f"{RULES}{version}.json"
    stored = models.read(key)
    if stored is None:
        return StoredRule(None, None)
    try:
        return StoredRule(ContactRule.model_validate_json(stored.data), stored.generation)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "contact rule"
        raise BundleRefused("malformed", f"{models.url}/{key}: {where}: {first['msg']}; drift replaces it") from error


def rule_to_replace(models: Storage, version: str) -> StoredRule:
    """The same; a malformed rule is None, at its generation, for `replace_rule` to overwrite. Raises StorageError."""
    try:
        return read_rule(models, version)
    except BundleRefused:
        stored = models.read(f"{RULES}{version}.json")
        return StoredRule(None, stored and stored.generation)


def replace_rule(models: Storage, version: str, rule: ContactRule, generation: str | None) -> None:
    """Write the rule in the place of the one read at this generation. Raises Conflict where that has changed."""
    models.swap(f"{RULES}{version}.json", rule.model_dump_json(indent=1).encode(), generation)
