"""Stories of more than the service can do."""

from monitoring.proof.cases import Series, Stretch, counter, fires, stays_silent


def shed(asked: float, *after: Stretch) -> tuple[Series, ...]:
    """Requests a minute, of which so many are shed from the fault on, most for lack of time."""
    labels = 'route="/v1/score",method="POST"'
    name = "leadscoring_requests"
    return (
        counter(f'{name}_total{{{labels},status="200"}}', asked, *((m, asked - (n or 0)) for m, n in after)),
        counter(f'{name}_total{{{labels},status="503"}}', 0, *after),
        counter(f'{name}_shed_total{{lacking="time"}}', 0, *((m, 0.8 * (n or 0)) for m, n in after)),
        counter(f'{name}_shed_total{{lacking="memory"}}', 0, *((m, 0.2 * (n or 0)) for m, n in after)),
    )


def closed(pod: str, *after: Stretch, reason: str = "too_many") -> Series:
    """Connections a minute that are closed on callers' account."""
    return counter(f'leadscoring_connections_closed_total{{reason="{reason}",instance="{pod}"}}', 0, *after)


CASES = (
    fires(
        "ScoringRequestsShed",
        "fifteen of a thousand requests are shed, and then none",
        *shed(1000, (40, 15), (1, 0)),
        after=13,
        until=41,
        lasts=60,
    ),
    # The night's few requests: a tenth of them, which is fifteen in five minutes.
    fires(
        "ScoringRequestsShed",
        "three of thirty requests are shed",
        *shed(30, (40, 3), (1, 0)),
        after=13,
        until=41,
        lasts=60,
    ),
    stays_silent(
        "ScoringRequestsShed",
        "nine of a thousand requests are shed",
        *shed(1000, (60, 9), (1, 0)),
        lasts=90,
    ),
    stays_silent(
        "ScoringRequestsShed",
        "a fifth is shed until the autoscaler has added pods",
        *shed(1000, (6, 200), (1, 0)),
        lasts=60,
    ),
    stays_silent(
        "ScoringRequestsShed",
        "nine requests are shed in five minutes, of hardly any",
        *shed(10, (60, 1.8), (1, 0)),
        lasts=90,
    ),
    stays_silent(
        "ScoringRequestsShed",
        "requests fail, and none for lack of capacity",
        *shed(1000),
        counter('leadscoring_requests_total{route="/v1/score",method="POST",status="500"}', 0, (60, 100)),
        lasts=60,
    ),
    fires(
        "ScoringConnectionsRefused",
        "two pods refuse three connections a minute",
        *(closed(pod, (40, 3), (1, 0)) for pod in "ab"),
        after=13,
        until=41,
        instances=2,
        lasts=60,
    ),
    stays_silent(
        "ScoringConnectionsRefused",
        "three pods refuse ten in five minutes each",
        *(closed(pod, (60, 2), (1, 0)) for pod in "abc"),
        lasts=90,
    ),
    stays_silent(
        "ScoringConnectionsRefused",
        "a caller opens two hundred at once, and tries again for five minutes",
        closed("a", (5, 200), (1, 0)),
        lasts=60,
    ),
    stays_silent(
        "ScoringConnectionsRefused",
        "connections that rested are closed for new ones",
        closed("a"),
        closed("a", (60, 100), reason="rested"),
        lasts=60,
    ),
)
