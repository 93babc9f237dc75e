"""Was it worth it? For the sales team as much as for who runs the platform."""

from collections.abc import Iterable

from monitoring.catalogue.quality import reader
from monitoring.dashboards.panel import Dashboard, Line, Panel, Unit
from monitoring.platform import Job


def dashboard(jobs: Iterable[Job]) -> Dashboard:
    """The dashboard of an environment with these jobs."""
    newest = reader(jobs)
    return Dashboard(
        "business",
        "Lead scoring: business",
        "What became of the leads that sales were told to call?",
        (
            Panel(
                "Conversion by band",
                Unit.RATIO,
                (Line("band ${band}", newest("conversion_ratio", "evaluate", by="band")),),
            ),
            Panel(
                "Return on contacts", Unit.RATIO, (Line("profit over cost", newest("business_roi_ratio", "evaluate")),)
            ),
            Panel(
                "Revenue and cost of contacts",
                lines=(
                    Line("revenue", newest("business_revenue", "evaluate")),
                    Line("cost", newest("business_cost", "evaluate")),
                ),
            ),
            Panel("Contacts asked for", lines=(Line("contacts", newest("business_contacts", "evaluate")),)),
            Panel(
                "Decisions of a day",
                lines=(Line("${decision}", "sum by (decision) (increase(leadscoring_leads_scored_total[1d]))"),),
                stacked=True,
            ),
            Panel(
                "Share of leads to contact",
                Unit.RATIO,
                (
                    Line(
                        "last day",
                        'sum(increase(leadscoring_leads_scored_total{decision="contact"}[1d]))'
                        " / sum(increase(leadscoring_leads_scored_total[1d]))",
                    ),
                ),
            ),
        ),
    )
