"""What Google changes by itself after an apply. The stand-in's reads report it, so a second plan must accept it."""

from collections.abc import Callable, Mapping
from typing import Any

State = dict[str, Any]


def reported(type_name: str, state: State) -> State:
    """The state of a resource as a refresh reports it."""
    change = CHANGES.get(type_name)
    return change(state) if change else state


def _grow_disk(instance: State) -> State:
    # https://cloud.google.com/sql/docs/postgres/instance-settings#automatic-storage-increase-2ndgen
    grown = []
    for settings in instance["settings"]:
        size, resizes = settings["disk_size"], settings["disk_autoresize"] is not False  # true is the default
        grown.append(settings | {"disk_size": size + 1} if size and resizes else settings)
    return instance | {"settings": grown}


def _turn_on_subsetting(cluster: State) -> State:
    # https://github.com/hashicorp/terraform-provider-google/pull/25323
    return cluster | {"enable_l4_ilb_subsetting": True}


CHANGES: Mapping[str, Callable[[State], State]] = {
    "google_container_cluster": _turn_on_subsetting,
    "google_sql_database_instance": _grow_disk,
}
