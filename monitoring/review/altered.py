"""Which series differ between two tellings of the same days, by more than counts and measurements scatter."""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from monitoring.alerts import Alert
from monitoring.proof.decoys import readings, takes
from monitoring.simulation.world import Array, Track, World

SIGMAS = 5
LEAST = 5  # events
Series = tuple[str, Mapping[str, str]]  # name and labels, without those of a pod


def altered(usual: World, other: World, span: slice) -> list[Series]:
    """The series that differ in the minutes of the span; figures of jobs, which come once a run, at any time."""
    return [*_tracks(usual, other, span), *_figures(usual, other)]


def reading(alerts: Iterable[Alert], series: Iterable[Series]) -> list[Alert]:
    """The alerts that read one of the series."""
    series = list(series)
    return [
        a
        for a in alerts
        if any(takes(r.selector, name, dict(labels)) for r in readings(a.expr) for name, labels in series)
    ]


def _tracks(usual: World, other: World, span: slice) -> Iterator[Series]:
    for name, tracks in other.tracks.items():
        known = {_key(track, number): track for number, track in enumerate(usual.tracks[name])}
        for number, track in enumerate(tracks):
            was, now = known.get(_key(track, number)), track.values[span]
            if _differs(np.zeros(len(now)) if was is None else was.values[span], now, track.counts):
                yield name, track.labels


def _key(track: Track, number: int) -> tuple[object, ...]:
    return track.pod, tuple(sorted(track.labels.items())), number if track.pod is None else 0


def _differs(was: Array, now: Array, counts: bool) -> bool:
    there, here = np.isfinite(was), np.isfinite(now)
    if not np.array_equal(there, here):
        return True
    if counts:
        before, after = np.nansum(was), np.nansum(now)
        least = SIGMAS * np.sqrt(before + after) + LEAST if before else 0.0
        return bool(abs(before - after) > least)
    both = there & here
    if np.array_equal(was[both], now[both]):
        return False
    scatter = float(np.std(np.diff(was[both]))) if both.sum() > 1 else 0.0
    return bool(np.mean(np.abs(was[both] - now[both])) > SIGMAS * scatter)


def _figures(usual: World, other: World) -> Iterator[Series]:
    was, now = (_published(days) for days in (usual, other))
    for name, labels in {**was, **now}:
        before, after = was.get((name, labels)), now.get((name, labels))
        if before is None or after is None or not all(map(np.array_equal, before, after)):
            yield name, dict(labels)


def _published(days: World) -> dict[tuple[str, tuple[tuple[str, str], ...]], tuple[NDArray[np.int64], Array]]:
    return {
        (each.name, tuple(sorted(each.labels.items()))): (each.times, each.values)
        for each in days.told()
        if each.name not in days.tracks
    }
