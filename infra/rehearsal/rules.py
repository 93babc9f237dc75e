"""Rules that only a provider's code holds: `rules.toml`, for PagerDuty's `rules_pagerduty.toml`, and what breaks them.

Refusals count for a provider of the same version alone; what replaces is taken to be the same in all.

Paths are written without positions: `settings.ip_configuration.ssl_mode`. As in the provider's SDK, an argument counts
as given when it is written, whatever its value, and a block when it is there; a value that is not known yet breaks no
rule. Limits: an empty list counts as not given, and the arguments of `checked_by_code`, most of them names, times and
address ranges, are not checked.
https://github.com/hashicorp/terraform-plugin-sdk/blob/v2.37.0/helper/schema/schema.go
"""

import math
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.rehearsal.values import UNKNOWN

VERSION = "6.50.0"  # of the provider whose source the table was made of
PAGERDUTY_VERSION = "3.30.8"  # of the provider whose source `rules_pagerduty.toml` was read from
Refusal = tuple[str, str]  # an argument, and the reason in the words of the SDK
Groups = Sequence[Sequence[str]]
Bounds = Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class TypeRules:
    """The rules of one resource type; the first argument of a group is the one that has the rule."""

    source: str
    replaces: Sequence[str] = ()  # ForceNew
    sets: Sequence[str] = ()  # sets of blocks in which an argument replaces
    replaces_if: Mapping[str, str] = field(default_factory=dict)  # the Go function that decides: `replacement.py`
    conflicts: Groups = ()
    required_with: Groups = ()
    exactly_one_of: Groups = ()
    at_least_one_of: Groups = ()
    one_of: Mapping[str, Sequence[str]] = field(default_factory=dict)
    any_case: Sequence[str] = ()  # arguments under `one_of` whose case does not matter
    range: Bounds = field(default_factory=dict)
    length: Bounds = field(default_factory=dict)  # bytes
    items: Bounds = field(default_factory=dict)
    checked_by_code: Sequence[str] = ()


def _read(file: Path) -> dict[str, TypeRules]:
    return {type_name: TypeRules(**entry) for type_name, entry in tomllib.loads(file.read_text()).items()}


RULES: Mapping[str, TypeRules] = _read(Path(__file__).with_suffix(".toml"))
PAGERDUTY: Mapping[str, TypeRules] = _read(Path(__file__).with_name("rules_pagerduty.toml"))


def known(type_name: str) -> TypeRules | None:
    """The rules of a type, of either provider."""
    return RULES.get(type_name) or PAGERDUTY.get(type_name)


def unknown(types: Iterable[str]) -> list[str]:
    """The types that the table does not hold: of their code nothing is checked."""
    return sorted(set(types) - RULES.keys() - PAGERDUTY.keys())


def enumerated(type_name: str) -> frozenset[str]:
    """The arguments whose values the code lists."""
    return frozenset(rules.one_of) if (rules := known(type_name)) else frozenset()


def count(type_name: str, config: Any) -> Counter[str]:
    """By kind, how many rules are checked on a configuration: those of the arguments that it gives."""
    rules, counted = known(type_name), Counter[str]()
    if rules is None:
        return counted
    for kind in ("conflicts", "required_with"):
        counted[kind] = sum(_first(config, path) is not None for path, *_ in getattr(rules, kind))
    for kind in ("exactly_one_of", "at_least_one_of"):
        counted[kind] = sum(_has_block(config, path) for path, *_ in getattr(rules, kind))
    for kind in ("one_of", "range", "length", "items"):
        counted[kind] = sum(_first(config, path) is not None for path in getattr(rules, kind))
    return +counted


def checked(configs: Iterable[Mapping[str, Any]]) -> Counter[str]:
    """The same for all resources of synthesized stacks."""
    counted = Counter[str]()
    for config in configs:
        for type_name, resources in config.get("resource", {}).items():
            for resource in resources.values():
                counted += count(type_name, resource)
    return counted


def refused(type_name: str, config: Any) -> Iterator[Refusal]:
    """The arguments of `config` that the provider refuses, each with the reason."""
    rules = known(type_name)
    if rules is not None:
        yield from _groups(rules, config)
        yield from _values(rules, config)
        yield from _items(rules, config)


def _groups(rules: TypeRules, config: Any) -> Iterator[Refusal]:
    for path, other in rules.conflicts:
        value, beside = _first(config, path), _first(config, other)
        if value is not None and _known(value) and beside is not None and beside is not UNKNOWN:
            yield path, f'Conflicting configuration arguments: "{path}": conflicts with {other}'
    for group in rules.required_with:
        if _first(config, group[0]) is not None and any(_first(config, path) is None for path in group):
            yield group[0], f'Missing required argument: "{group[0]}": all of `{_listed(group)}` must be specified'
    for group in rules.exactly_one_of:
        values = {path: _first(config, path) for path in group} if _has_block(config, group[0]) else {}
        given = [path for path, value in values.items() if value is not None and _known(value)]
        if len(given) > 1:
            found = f"only one of `{_listed(group)}` can be specified, but `{_listed(given)}` were specified."
            yield given[0], f'Invalid combination of arguments: "{given[0]}": {found}'
        elif values and all(value is None for value in values.values()):
            yield (
                group[0],
                f'Invalid combination of arguments: "{group[0]}": one of `{_listed(group)}` must be specified',
            )
    for group in rules.at_least_one_of:
        if _has_block(config, group[0]) and all(_first(config, path) is None for path in group):
            yield group[0], f'Missing required argument: "{group[0]}": one of `{_listed(group)}` must be specified'


def _values(rules: TypeRules, config: Any) -> Iterator[Refusal]:
    for path, allowed in rules.one_of.items():
        folded = {value.casefold() for value in allowed} if path in rules.any_case else set(allowed)
        for value in _all(config, path):
            if isinstance(value, str) and (value.casefold() if path in rules.any_case else value) not in folded:
                yield path, f"expected {path} to be one of {list(allowed)}, got {value}"
    for path, bounds in rules.range.items():
        for value in _all(config, path):
            if isinstance(value, int | float) and not bounds[0] <= value <= bounds[1]:
                yield path, f"expected {path} to be {_within(bounds)}, got {value}"
    for path, bounds in rules.length.items():
        for value in _all(config, path):
            if isinstance(value, str) and not bounds[0] <= len(value.encode()) <= bounds[1]:
                yield path, f"expected length of {path} to be {_within(bounds)}, got {value}"


def _items(rules: TypeRules, config: Any) -> Iterator[Refusal]:
    for path, (least, most) in rules.items.items():
        for value in _all(config, path, whole=True):
            if not isinstance(value, list):
                continue
            if len(value) > most:
                yield path, f"Too many list items: {path} supports at most {most}, but {len(value)} are declared"
            if len(value) < least:
                yield path, f"Not enough list items: {path} requires at least {least}, but {len(value)} are declared"


def _within(bounds: tuple[float, float]) -> str:
    low, high = bounds
    return f"at least ({low})" if high == math.inf else f"in the range ({low} - {high})"


def _listed(paths: Iterable[str]) -> str:
    return ",".join(sorted(paths))


def _has_block(config: Any, path: str) -> bool:
    """Whether the block is there in which an argument stands; the resource itself always is."""
    block = path.rpartition(".")[0]
    return not block or any(isinstance(value, Mapping) for value in _all(config, block))


def _first(config: Any, path: str) -> Any:
    """The value at a path, in the first of several blocks; None when it is not given."""
    return next(iter(_all(config, path, whole=True)), None)


def _all(config: Any, path: str, *, whole: bool = False) -> Iterator[Any]:
    """The values given at a path, in every block; of a list its elements, or itself as a `whole`."""
    step, _, below = path.partition(".")
    value = config.get(step) if isinstance(config, Mapping) else None
    if value is UNKNOWN or (whole and not below):
        if value is not None and value != []:
            yield value
        return
    for element in value if isinstance(value, list) else [value]:
        if below:
            yield from _all(element, below, whole=whole) if element is not UNKNOWN else [UNKNOWN]
        elif element is not None:
            yield element


def _known(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(_known(inner) for inner in value.values())
    return all(_known(inner) for inner in value) if isinstance(value, list) else value is not UNKNOWN
