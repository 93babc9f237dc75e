"""The review sheet: what a change does to an environment, as the Markdown of a pull request."""

import re
from collections.abc import Iterable, Mapping, Sequence

from infra.rehearsal import report
from infra.rehearsal.report import cell
from infra.rehearsal.steps import Planned
from infra.review import access, costs
from infra.review.guard import Finding

_VERBS = ("add", "change", "replace", "destroy")
_THRESHOLD = re.compile(r"(?:[<>]=?|[!=]=)\s*(?:bool\s+)?(-?\d[\d.]*(?:e[+-]?\d+)?)")
_ALERT = "google_monitoring_alert_policy"


def render(
    env: str,
    planned: Sequence[Planned],
    *,
    against: str | None,
    found: Sequence[Finding] = (),
    allowed: Mapping[str, str] | None = None,
    policies: str,
) -> str:
    """The sheet of an environment.

    `against` is the commit that is taken to be deployed, nothing when None; `policies` what the policies say.
    """
    before, after = access.sides([each.plan for each in planned])
    deployed = f"against `{against}`" if against else "with nothing deployed yet"
    sections = [
        f"# Review of {env}, {deployed}",
        _resources(planned),
        _stateful(found, allowed or {}),
        _gained_and_lost("Identities", before.identities, after.identities),
        _gained_and_lost("Grants", before.grants, after.grants),
        _gained_and_lost("Exposure to the internet", before.exposure, after.exposure),
        _alerts(planned),
        "## Policies\n\n" + policies,
        _costs(planned),
        "## What this cannot know\n\n" + report.LIMITS,
    ]
    return "\n\n".join(sections) + "\n"


def _resources(planned: Sequence[Planned]) -> str:
    head = "| stack | added | changed | replaced | destroyed |\n| --- | ---: | ---: | ---: | ---: |"
    rows, details = [], []
    for each in planned:
        found = report.changes(each.plan)
        counts = [sum(change.verb == verb for change in found) for verb in _VERBS]
        rows.append(f"| {each.stack} | {' | '.join(map(str, counts))} |")
        details += [f"- {each.stack}: {change.verb} `{change.address}`" for change in found if change.verb != "add"]
    return "\n".join(["## Resources", "", head, *rows, *(["", *details] if details else [])])


def _stateful(found: Sequence[Finding], allowed: Mapping[str, str]) -> str:
    lines = [
        f"- **{finding.name}** {finding.says}: "
        + (f"allowed, {allowed[finding.name]}" if finding.name in allowed else "**refused**")
        for finding in found
    ]
    return "## Stateful resources\n\n" + ("\n".join(lines) or "None is lost, replaced or left unprotected.")


def _gained_and_lost(title: str, before: set[str], after: set[str]) -> str:
    lines = [f"- gained: {cell(line)}" for line in sorted(after - before)]
    lines += [f"- lost: {cell(line)}" for line in sorted(before - after)]
    return f"## {title}\n\n" + ("\n".join(lines) or "No change.")


def _alerts(planned: Sequence[Planned]) -> str:
    rows = []
    for each in planned:
        for resource in each.plan.get("resource_changes", []):
            if resource["type"] != _ALERT:
                continue
            old, new = (_alert(resource["change"].get(side)) for side in ("before", "after"))
            if old != new:
                rows.append(f"| {resource['name']} | {old} | {new} |")
    head = "| alert | old | new |\n| --- | --- | --- |"
    return "## Alert thresholds\n\n" + ("\n".join([head, *rows]) if rows else "No change.")


def _alert(values: dict[str, object] | None) -> str:
    """What decides whether an alert fires: thresholds, how long, how severe."""
    queries = list(report.at(values, ["conditions", "*", "condition_prometheus_query_language", "*"]))
    texts = [
        f"{', '.join(_THRESHOLD.findall(query['query'])) or '`' + cell(query['query']) + '`'} for {query['duration']}"
        for query in queries
    ]
    return f"{'; '.join(texts)}, {values['severity']}" if values else "none"


def _costs(planned: Sequence[Planned]) -> str:
    old, new = ([*_addresses(planned, side)] for side in ("before", "after"))
    lines = costs.estimate(old, new)
    rows = [
        f"| [{line.item}]({line.source}) | {_count(line.before, line.usd_before)} "
        f"| {_count(line.after, line.usd_after)} | {line.leaves_out} |"
        for line in lines
    ]
    known = [(line.usd_before, line.usd_after) for line in lines if None not in (line.usd_before, line.usd_after)]
    was, will = (sum(side or 0 for side in column) for column in zip(*known, strict=True)) if known else (0, 0)
    missing = [line.item for line in lines if line.usd_before is None or line.usd_after is None]
    return "\n".join(
        [
            "## Cost a month",
            "",
            f"List prices in US dollars, read on {costs.READ} (`infra/review/prices.toml`): {was:.2f} before, "
            f"**{will:.2f}** after, for what stands there without use. The bill will be higher.",
            "",
            "| | before | after | on top |",
            "| --- | --- | --- | --- |",
            *rows,
            "",
            f"No price in the table for: {', '.join(missing) or 'nothing'}. "
            f"Not in the table, free or not looked up: {', '.join(costs.unpriced(new)) or 'nothing'}.",
        ]
    )


def _count(count: int, usd: float | None) -> str:
    return f"{count}: " + ("price missing" if usd is None else f"{usd:.2f}") if count else "none"


def _addresses(planned: Sequence[Planned], side: str) -> Iterable[str]:
    for each in planned:
        for resource in each.plan.get("resource_changes", []):
            if resource["mode"] == "managed" and resource["change"].get(side):
                yield f"{resource['type']}.{resource['name']}"
