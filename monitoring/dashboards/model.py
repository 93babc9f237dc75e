"""How good the scores are, by which metric, of whom that holds, and whether leads change."""

from collections.abc import Iterable

from monitoring.catalogue.quality import AGREED, AUC, CALIBRATION, FigureQuery, reader
from monitoring.dashboards.panel import Dashboard, Line, Panel, Unit
from monitoring.platform import Job

BY_DECISION, BY_SCORE = ',by="decision"', ',by="score"'
SCORES = (
    "sum by (tenth) (increase(leadscoring_scores_total[1d]))"
    " / on () group_left () sum(increase(leadscoring_scores_total[1d]))"
)
METRICS = (
    ("Precision", Unit.RATIO, "precision"),
    ("Recall", Unit.RATIO, "recall"),
    ("F1", Unit.COUNT, "f1"),
    ("Ranking (ROC-AUC)", Unit.COUNT, "roc_auc"),
    ("Accuracy", Unit.RATIO, "accuracy"),
    ("Profit per 1,000 leads", Unit.COUNT, "profit"),
)


def dashboard(jobs: Iterable[Job]) -> Dashboard:
    """The dashboard of an environment with these jobs, whose figures it shows until their next run."""
    newest = reader(jobs)
    return Dashboard(
        "model",
        "Lead scoring: model quality",
        "Are the scores right, by the agreed metric and the others, and for whom? Do leads still look as at training?",
        (
            *_agreed(newest),
            *_figures(newest),
            *_whom(newest),
            *_leads(newest),
            Panel("Challengers refused in a row"),
        ),
    )


def _agreed(newest: FigureQuery) -> tuple[Panel, ...]:
    """The agreed metric, beside all that people can agree on."""
    return (
        Panel(
            "The agreed metric",
            lines=(
                Line("${figure}", newest("agreed_figure", "evaluate", by=AGREED)),
                Line("${figure}, upper end of its interval", newest("agreed_figure_high", "evaluate", by=AGREED)),
                Line("${figure} at training", newest("agreed_benchmark", "evaluate", by=AGREED), limit=True),
            ),
        ),
        *(_metric(newest, title, unit, figure) for title, unit, figure in METRICS),
        Panel("Age of the agreement", Unit.SECONDS),
    )


def _metric(newest: FigureQuery, title: str, unit: Unit, figure: str) -> Panel:
    """One of the metrics that people can agree on."""
    labels = f',figure="{figure}"'
    return Panel(
        title,
        unit,
        (
            Line("evaluated", newest("evaluation_figure", "evaluate", labels)),
            Line("lower end of its interval", newest("evaluation_figure_low", "evaluate", labels)),
            Line("upper end of its interval", newest("evaluation_figure_high", "evaluate", labels)),
            Line("benchmark at training", newest("evaluation_benchmark", "evaluate", labels), limit=True),
        ),
    )


def _whom(newest: FigureQuery) -> tuple[Panel, ...]:
    """Where only contacted leads have outcomes: of whom the figures are, what they rest on, and what that cost."""
    return (
        Panel(
            "Whom the figures are about",
            lines=(
                Line(
                    "days of contacted leads alone",
                    f"{newest('evaluation_contacted_only_seconds', 'evaluate')} / 86400",
                ),
                Line(
                    "outcomes depend on the decision: 1",
                    newest("evaluation_outcomes_selected", "evaluate", BY_DECISION),
                ),
                Line("outcomes depend on the score: 1", newest("evaluation_outcomes_selected", "evaluate", BY_SCORE)),
            ),
        ),
        Panel(
            "Leads with an outcome, by decision",
            Unit.RATIO,
            (Line("${decision}", newest("evaluation_with_outcome_ratio", "evaluate", by="decision")),),
        ),
        Panel(
            "Leads that stand for all",
            lines=(
                Line("contacted at random, of all versions", newest("evaluation_explored_leads", "evaluate")),
                Line("contacted at random, of the judged version", newest("exploration_contacts", "evaluate")),
                Line("effective sample size", newest("evaluation_effective_leads", "evaluate")),
            ),
        ),
        Panel(
            "What exploring cost and brought",
            lines=(
                Line("brought", newest("exploration_revenue", "evaluate")),
                Line("cost", newest("exploration_cost", "evaluate")),
            ),
        ),
    )


def _figures(newest: FigureQuery) -> tuple[Panel, ...]:
    """What else tells how good the scores are."""
    return (
        Panel(
            "Expected ranking (ROC-AUC)",
            lines=(
                Line("expected", newest("expected_figure", "drift", AUC)),
                Line("upper end of its interval", newest("expected_figure_high", "drift", AUC)),
            ),
        ),
        Panel(
            "Calibration error",
            lines=(
                Line("evaluated", newest("evaluation_figure", "evaluate", CALIBRATION)),
                Line("lower end of its interval", newest("evaluation_figure_low", "evaluate", CALIBRATION)),
            ),
        ),
        Panel("Leads to judge by", lines=(Line("with a final outcome", newest("evaluation_leads", "evaluate")),)),
    )


def _leads(newest: FigureQuery) -> tuple[Panel, ...]:
    """Whether leads and scores still look as at training."""
    return (
        Panel("Scores given in a day", Unit.RATIO, (Line("${tenth}", SCORES),), stacked=True),
        Panel(
            "Scores of the evaluated leads",
            Unit.RATIO,
            (Line("mean score", newest("evaluation_mean_score", "evaluate")),),
        ),
        Panel(
            "Confidence",
            Unit.RATIO,
            (Line("scores near the threshold", newest("evaluation_near_threshold_ratio", "evaluate")),),
        ),
        Panel(
            "Drift found",
            lines=(
                Line("leads, scores or decisions differ", newest("drift_found", "drift")),
                Line("scores differ", newest("drift_score_shifted", "drift")),
                Line("fields that differ", newest("drift_features", "drift")),
            ),
        ),
        Panel("Distance of the scores", lines=(Line("from training's", newest("drift_score_distance", "drift")),)),
        Panel("Rare or new values beyond training's", Unit.RATIO),
        Panel("Values missing beyond training's", Unit.RATIO),
    )
