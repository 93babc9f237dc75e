"""Stories of the prediction records."""

from monitoring.proof.cases import Series, Stretch, counter, fires, gauge, stays_silent


def spool(pod: str, *growth: Stretch) -> Series:
    """Bytes that wait, by their growth a minute; None: the pod is gone, and the next one's spool is empty."""
    return counter(f'leadscoring_spool_bytes{{instance="{pod}"}}', 0, *growth)


def moved(name: str, before: float, *after: tuple[int, float]) -> Series:
    """Records or leads a minute."""
    return counter(f'leadscoring_{name}_total{{instance="a"}}', before, *after)


def missing(*after: tuple[int, float]) -> Series:
    """Share of scored leads without a record."""
    return gauge('leadscoring_evaluation_records_missing_ratio{job="evaluate"}', 0, *after)


CASES = (
    # 2 MB a minute are 120 MB an hour, which is what nine tenths lack after 55 minutes; five of hold.
    fires(
        "SpoolFillsUp",
        "two spools fill within two hours",
        *(spool(pod, (80, 2e6), (1, None), (1, 0)) for pod in "ab"),
        after=60,
        until=81,
        lasts=100,
    ),
    fires(
        "SpoolFillsUp",
        "a spool fills within half an hour, and stays full",
        spool("a", (25, 1e7), (40, 0), (1, None), (1, 0)),
        spool("b"),
        after=12,
        until=66,
        lasts=90,
    ),
    stays_silent(
        "SpoolFillsUp",
        "a spool fills by 2 MB a minute for 54 minutes, and another holds 225 MB and grows no more",
        spool("a", (54, 2e6), (1, None), (1, 0)),
        spool("b", (50, 1.5e6), (300, 0.5e6), (1, 0)),
        lasts=120,
    ),
    stays_silent(
        "SpoolFillsUp",
        "the bucket is away for six minutes, and 60 MB wait",
        spool("a", (6, 1e7), (6, -1e7), (1, 0)),
        lasts=60,
    ),
    fires(
        "SpoolNotDraining",
        "uploads stop",
        moved("records_written", 50),
        moved("records_uploaded", 50, (40, 0), (1, 500)),
        after=24,
        until=40,
    ),
    fires(
        "SpoolNotDraining",
        "uploads stop, and leads come every twelve minutes",
        moved("records_written", 5, *(4 * ((1, 5), (11, 0))), (1, 5)),
        moved("records_uploaded", 5, (48, 0), (1, 5)),
        after=24,
        until=48,
    ),
    stays_silent(
        "SpoolNotDraining",
        "nobody asks for scores",
        moved("records_written", 50, (60, 0)),
        moved("records_uploaded", 50, (60, 0)),
        lasts=60,
    ),
    stays_silent(
        "SpoolNotDraining",
        "uploads stop for 24 minutes",
        moved("records_written", 50),
        moved("records_uploaded", 50, (24, 0), (1, 500)),
        lasts=60,
    ),
    fires(
        "RecordUploadsFailing",
        "an upload fails each minute",
        moved("upload_failures", 0, (40, 1), (1, 0)),
        after=20,
        until=59,
    ),
    stays_silent(
        "RecordUploadsFailing", "an upload fails every three minutes", moved("upload_failures", 0, (90, 0.3)), lasts=90
    ),
    stays_silent(
        "RecordUploadsFailing",
        "twelve uploads fail in a row",
        moved("upload_failures", 0, (10, 0), (12, 1), (1, -0.0)),
        lasts=19,
    ),
    fires(
        "RecordsNotWritten",
        "two of a hundred leads have no record",
        moved("leads_scored", 100),
        moved("records_written", 100, (60, 98), (1, 100)),
        after=44,
        until=90,
    ),
    fires(
        "RecordsNotWritten",
        "one of ten leads a minute has no record",
        moved("leads_scored", 10),
        moved("records_written", 10, (60, 9), (1, 10)),
        after=20,
        until=114,
    ),
    stays_silent(
        "RecordsNotWritten",
        "nine of a thousand have none",
        moved("leads_scored", 100),
        moved("records_written", 100, (1, 99.1)),
        lasts=120,
    ),
    stays_silent(
        "RecordsNotWritten",
        "half of few have none",
        moved("leads_scored", 8),
        moved("records_written", 8, (1, 4)),
        lasts=120,
    ),
    fires("RecordsMissingInBucket", "2 % are missing", missing((30, 0.02), (1, 0)), after=0, until=30),
    stays_silent("RecordsMissingInBucket", "0.9 % are missing", missing((1, 0.009)), lasts=60),
)
