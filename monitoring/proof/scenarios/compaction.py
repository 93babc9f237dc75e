"""Stories of records that wait for compaction. Of an hourly run a figure is a sample, or stays where it is scraped."""

from monitoring.proof.cases import Series, Value, counter, fires, gauge, stays_silent

HOUR = 60


def compact(name: str, before: Value, *after: tuple[int, Value]) -> Series:
    """A figure of the job that compacts."""
    return gauge(f'leadscoring_{name}{{job="compact"}}', before, *after)


def ended(before: Value, *after: tuple[int, Value]) -> Series:
    """When it last ended well, in seconds."""
    return compact("job_last_success_timestamp_seconds", before, *after)


def waiting(before: Value, *after: tuple[int, Value]) -> Series:
    """How long the oldest records had waited then."""
    return compact("compact_oldest_waiting_seconds", before, *after)


def unreadable(before: Value, *after: tuple[int, Value]) -> Series:
    """Objects that it cannot read."""
    return compact("compact_unreadable_objects", before, *after)


ENDS_EVERY_MINUTE = counter('leadscoring_job_last_success_timestamp_seconds{job="compact"}', 60)

CASES = (
    fires(
        "RecordsNotCompacted",
        "compaction is not started for eight hours",
        ended(3600, (8 * HOUR, None), (1, 9 * 3600)),
        waiting(0, (8 * HOUR, None), (1, 0)),
        after=6 * HOUR + 11,
        until=8 * HOUR,
        lasts=9 * HOUR,
    ),
    fires(
        "RecordsNotCompacted",
        "each run is killed, and says again at its start what the last good one found",
        ended(3600, (8 * HOUR, 3600), (1, 9 * 3600)),
        waiting(1800, (8 * HOUR, 1800), (1, 0)),
        after=5 * HOUR + 41,
        until=8 * HOUR,
        lasts=9 * HOUR,
    ),
    fires(
        "RecordsNotCompacted",
        "runs end well and leave records of seven hours ago",
        ENDS_EVERY_MINUTE,
        waiting(0, (2 * HOUR, 7 * 3600), (1, 0)),
        after=10,
        until=2 * HOUR,
        lasts=3 * HOUR,
    ),
    stays_silent(
        "RecordsNotCompacted",
        "no run for just under six hours",
        ended(3600, (6 * HOUR, 3600), (1, 7 * 3600)),
        waiting(0),
        lasts=9 * HOUR,
    ),
    stays_silent(
        "RecordsNotCompacted",
        "runs leave records of nearly six hours ago",
        ENDS_EVERY_MINUTE,
        waiting(0, (2 * HOUR, 21_500)),
        lasts=2 * HOUR,
    ),
    stays_silent(
        "RecordsNotCompacted",
        "for ten minutes a run leaves records of a day ago",
        ENDS_EVERY_MINUTE,
        waiting(0, (10, 86_400), (1, 0)),
        lasts=2 * HOUR,
    ),
    stays_silent(
        "RecordsNotCompacted",
        "a first deploy: nothing was ever run, no lead scored",
        compact("job_last_start_timestamp_seconds", None),
        lasts=9 * HOUR,
        history=0,
    ),
    stays_silent(
        "RecordsNotCompacted",
        "a first run, hours after the deploy, finds nothing",
        ended(None, (7 * HOUR, None), (2 * HOUR, 7 * 3600)),
        waiting(None, (7 * HOUR, None), (2 * HOUR, 0)),
        unreadable(None, (7 * HOUR, None), (2 * HOUR, 0)),
        lasts=9 * HOUR,
        history=0,
    ),
    fires(
        "RecordsUnreadable",
        "an object is no file of records, and is moved away two hours later",
        unreadable(0, (2 * HOUR, 1), (1, 0)),
        ENDS_EVERY_MINUTE,
        after=0,
        until=2 * HOUR,
        lasts=3 * HOUR,
    ),
    fires(
        "RecordsUnreadable",
        "an hourly run says so once",
        unreadable(0, (1, 2), (59, None), (1, 0), (59, None)),
        ENDS_EVERY_MINUTE,
        after=0,
        until=HOUR,
        lasts=2 * HOUR,
    ),
    stays_silent(
        "RecordsUnreadable",
        "objects wait, and each can be read",
        unreadable(0),
        compact("compact_waiting_objects", 500),
        waiting(3600),
        ENDS_EVERY_MINUTE,
        lasts=2 * HOUR,
    ),
)
