"""The gauges that jobs export: their names, their meaning, and one value of one of them."""

from dataclasses import dataclass, field

NAMES = {
    "leadscoring_job_last_start_timestamp_seconds": "When the job was last started.",
    "leadscoring_job_last_success_timestamp_seconds": "When the job last ended well.",
    "leadscoring_job_last_failure_timestamp_seconds": "When the job last failed.",
    "leadscoring_job_duration_seconds": "How long the job's last run took.",
    "leadscoring_probe_success": "1 if the probe got a score through the front door, 0 if not.",
    "leadscoring_probe_duration_seconds": "How long the probe waited for its score, or for the failure.",
    "leadscoring_evaluation_figure": "The served model on leads with final outcomes, by figure.",
    "leadscoring_evaluation_figure_low": "Lower end of the figure's 95 % interval.",
    "leadscoring_evaluation_figure_high": "Upper end of the figure's 95 % interval.",
    "leadscoring_evaluation_benchmark": "The same figure at training, held out.",
    "leadscoring_evaluation_benchmark_rarer_ratio": "Share of the rarer outcome in the leads of the benchmark.",
    "leadscoring_agreed_figure": "The source's metric, of the served model on leads with final outcomes.",
    "leadscoring_agreed_figure_high": "Upper end of its 95 % interval.",
    "leadscoring_agreed_benchmark": "What training lets expect of it.",
    "leadscoring_agreed_timestamp_seconds": "When people agreed on the metric.",
    "leadscoring_evaluation_leads": "Leads with final outcomes that were evaluated.",
    "leadscoring_evaluation_records_missing_ratio": "Share of the scored leads whose record is not there.",
    "leadscoring_evaluation_outcomes_selected": "1 if having an outcome depends on the decision, or the score.",
    "leadscoring_evaluation_with_outcome_ratio": "Share of the leads of a decision that have an outcome.",
    "leadscoring_evaluation_contacted_only_seconds": (
        "Time since the first of the evaluations in a row whose figures hold for contacted leads alone; 0 where they "
        "hold for all."
    ),
    "leadscoring_evaluation_explored_leads": "Leads contacted at random whose outcome is final.",
    "leadscoring_evaluation_effective_leads": "Effective sample size where only contacted leads have outcomes.",
    "leadscoring_exploration_contacts": "Explored leads with an outcome.",
    "leadscoring_exploration_revenue": "What the explored leads that converted were worth.",
    "leadscoring_exploration_cost": "What the contacts of explored leads cost.",
    "leadscoring_evaluation_mean_score": "Mean score of the evaluated leads.",
    "leadscoring_evaluation_near_threshold_ratio": "Share of scores close to the threshold.",
    "leadscoring_conversion_ratio": (
        "Share of a band's leads that convert. Where only contacted leads have outcomes it is an estimate for all, and "
        "missing for a band of which too few were explored."
    ),
    "leadscoring_business_contacts": "Contacts decided on, as many as the team can make.",
    "leadscoring_business_revenue": "What the contacted leads that converted were worth.",
    "leadscoring_business_cost": "What the contacts cost.",
    "leadscoring_business_roi_ratio": "Profit over cost.",
    "leadscoring_drift_found": "1 if the leads, scores or decisions differ from training beyond chance.",
    "leadscoring_drift_features": "Features that differ from training beyond chance.",
    "leadscoring_drift_score_distance": "Distance of the scores from those at training (population stability index).",
    "leadscoring_drift_score_shifted": "1 if the scores differ from those at training beyond chance.",
    "leadscoring_feature_missing_excess_ratio": (
        "Share of missing values above training's, by feature; 0 where chance explains it."
    ),
    "leadscoring_feature_unseen_excess_ratio": (
        "Share of values rare or new to training, above training's own, by feature; 0 where chance explains it."
    ),
    "leadscoring_expected_figure": "What the served model is expected to reach now, without outcomes, by figure.",
    "leadscoring_expected_figure_low": "Lower end of the expectation's interval.",
    "leadscoring_expected_figure_high": "Upper end of the expectation's interval.",
    "leadscoring_compact_waiting_objects": "Raw objects of finished hours that are not compacted.",
    "leadscoring_compact_oldest_waiting_seconds": "Time since the end of the oldest hour that is not compacted.",
    "leadscoring_compact_records": "Records that the last run compacted.",
    "leadscoring_compact_unreadable_objects": "Raw objects that cannot be read, and so are not compacted.",
    "leadscoring_champion_trained_timestamp_seconds": "When the served model was trained.",
    "leadscoring_champion_promoted_timestamp_seconds": "When the served model was put in service.",
    "leadscoring_challenger_refused_in_a_row": "Challengers refused since the last promotion.",
}
"""Every gauge that a job exports, with its meaning."""


@dataclass(frozen=True)
class Gauge:
    """One value of one of NAMES. Labels besides the job's own: `figure`, `feature`, `band`, `by`, `decision`, and the
    agreement's `metric_reason` and `agreed_by`."""

    name: str
    value: float
    labels: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            raise ValueError(f"{self.name}: add it to service/lifecycle/runtime/gauges.py, with its meaning")


class PublishFailed(Exception):
    """The figures did not go out; the message says where to, why, and what becomes of them."""
