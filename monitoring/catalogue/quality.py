"""How good the scores are: daily figures of the jobs, read back as far as a day and a late hour."""

from datetime import timedelta
from functools import partial

from monitoring.alerts import Alert, Severity

ticket = partial(Alert, severity=Severity.TICKET, runbook="model-quality.md", hold=timedelta(0))


def newest(name: str, job: str, labels: str = "", by: str = "") -> str:
    """The largest of a figure's newest values of the day: each run of a job may be a series of its own."""
    grouped = f" by ({by}) " if by else ""
    return f'max{grouped}(last_over_time(leadscoring_{name}{{job="{job}"{labels}}}[25h]))'


AUC, CALIBRATION = ',figure="roc_auc"', ',figure="calibration_error"'
LEADS_TO_JUDGE_BY = 50
DAYS_OF_CONTACTED = 14
"""Where exploration begins, explored leads stand for half of the leads that an evaluation looks at in so many days."""

ALERTS = (
    ticket(
        name="RankingBelowBenchmark",
        expr=(
            f"{newest('evaluation_figure_high', 'evaluate', AUC)} < {newest('evaluation_benchmark', 'evaluate', AUC)}"
        ),
        summary="The served model ranks leads worse than at training, beyond chance: sales call the wrong ones first.",
        panel="Ranking (ROC-AUC)",
    ),
    ticket(
        name="CalibrationBelowBenchmark",
        expr=(
            f"{newest('evaluation_figure_low', 'evaluate', CALIBRATION)}"
            f" > {newest('evaluation_benchmark', 'evaluate', CALIBRATION)} + 0.05"
        ),
        summary="Scores are further from what converts than at training, beyond chance: contacts no longer pay.",
        panel="Calibration error",
    ),
    ticket(
        name="ExpectedRankingBelowFloor",
        expr=(
            f"{newest('expected_figure_high', 'drift', AUC)} < 0.95 * {newest('evaluation_benchmark', 'evaluate', AUC)}"
        ),
        summary="Today's leads let expect a ranking far below training's, weeks before their outcomes can show it.",
        panel="Expected ranking (ROC-AUC)",
    ),
    ticket(
        name="TooFewOutcomes",
        expr=f"{newest('evaluation_leads', 'evaluate')} < {LEADS_TO_JUDGE_BY}",
        summary="Too few leads have a final outcome to judge the model by: the CRM's outcomes stopped coming.",
        panel="Leads to judge by",
    ),
    ticket(
        name="FiguresOfContactedLeadsOnly",
        expr=f"{newest('evaluation_contacted_only_seconds', 'evaluate')} / 86400 > {DAYS_OF_CONTACTED}",
        summary=(
            f"For {DAYS_OF_CONTACTED} days every evaluation is of contacted leads alone: how good the model is on all "
            "leads, and which good ones it leaves out, nobody can know."
        ),
        panel="Whom the figures are about",
    ),
    ticket(
        name="ContactsCostMoreThanTheyEarn",
        expr=f"{newest('business_roi_ratio', 'evaluate')} < 0",
        summary="The contacts that the model asked for cost more than they earned.",
        panel="Return on contacts",
    ),
    ticket(
        name="LeadsDrifted",
        expr=f"{newest('drift_found', 'drift')} > 0",
        summary="Leads, scores or decisions differ from training beyond chance: the model meets a world it never saw.",
        panel="Drift found",
    ),
    ticket(
        name="ScoresShifted",
        expr=(
            f"{newest('drift_score_distance', 'drift')} > 0.2\nand on ()\n{newest('drift_score_shifted', 'drift')} > 0"
        ),
        summary="The scores are far from those at training: thresholds and bands no longer mean what they say.",
        panel="Distance of the scores",
    ),
    ticket(
        name="UnseenValues",
        expr=f"{newest('feature_unseen_ratio', 'drift', by='feature')} > 0.05",
        summary="More than one lead in twenty has a value that training never saw: a field of the CRM changed.",
        panel="Values never seen in training",
    ),
    ticket(
        name="ValuesMissing",
        expr=f"{newest('feature_missing_excess_ratio', 'drift', by='feature')} > 0.1",
        summary="A field is empty in ten more leads of a hundred than at training: an export or a form broke.",
        panel="Values missing beyond training's",
    ),
    ticket(
        name="ChallengersRefused",
        expr=f"{newest('challenger_refused_in_a_row', 'retrain')} >= 3",
        summary="Three new models in a row were refused: retraining no longer helps and somebody must look why.",
        panel="Challengers refused in a row",
    ),
)
