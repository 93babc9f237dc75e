"""MODEL_CARD.md: what a model is, what it was trained on, how good it is, who decided what, and its limits."""

from collections.abc import Iterable, Sequence

import numpy as np

from service.lifecycle.data.leads import Leads
from service.lifecycle.data.source import Source, TrainingRecipe
from service.lifecycle.evaluation.formatting import number, spoken
from service.lifecycle.evaluation.quality import NAMES
from service.lifecycle.training.selection import Rows, Selection, weights_of
from service.model.bundle import Manifest, Skill, TrainingSample
from service.model.contact_rule import ContactRule

CHOSEN = "the one chosen"
NOT_REFITTED = "The served model is the very one that was judged: it was not fitted again with the held-out leads."
REFITTED = "The served model was fitted again on all of them after that; the figures are of the one judged."


def model_card(source: Source, leads: Leads, selection: Selection, manifest: Manifest) -> str:
    """The card as Markdown. It holds no lead's values, only column names and figures."""
    at, seen, money = manifest.provenance, selection.held_out[selection.candidate], manifest.economics
    won = " or ".join(f"`{value}`" for value in source.positive)
    sections = [
        f"# Lead scoring model {manifest.version}",
        f"Scores a lead of the source `{source.name}` with the probability that it converts (`{source.target_column}` "
        f"is {won}). A {spoken(selection.candidate)} model, exported to ONNX.",
        "## Trained on",
        _trained_on(leads, selection, at.rows),
        _table(
            ["feature", "kind", "values that mean missing"],
            [(f.name, f.kind, ", ".join(map(str, f.missing))) for f in manifest.lead_schema.features],
        ),
        *_sample(at.sample),
        _list(leads.notes) or "All columns were used.",
        "## Decision",
        f"A contact pays from score {manifest.threshold:.4f} on: it costs {money.contact_cost:g}, and a conversion is "
        f"worth {money.conversion_value:g}. Of the leads from there on the team takes the best, as many as it can: "
        f"{money.contacts_per_1000_leads:g} of 1,000. On the held-out leads that is {seen['contacts']:.0f} contacts, "
        f"and a profit of {seen['profit']:,.0f}, per 1,000 leads.",
        *_rule(manifest.rule, manifest.exploration),
        f"The candidates were compared by **{source.metric}**: {source.metric_reason or 'no reason was stated.'} "
        + _agreed(source)
        + _recipe(source.recipe),
        "What each metric alone would have chosen on the held-out leads, and the profit lost by that against the "
        "chosen threshold, per 1,000 leads. Of the contacts asked for the team makes the best, as many as it can:",
        _table(*choice_rows(selection)),
        _table(["band", "from score"], [(b.name, f"{b.min_score:.4f}") for b in manifest.bands]),
        *(["## Skill", _list(skill_lines(manifest.skill))] if manifest.skill else []),
        *(["## Likely leaks", _list(manifest.leaks.lines)] if manifest.leaks else []),
        "## Figures",
        "Profit and contacts are per 1,000 leads; lift is that of the best tenth; calibration error is over ten bins "
        "of equally many leads. Precision, recall, F1, accuracy, profit and contacts are at the threshold that the "
        "economics imply. Cross-validation shuffles time: where the world changes, it flatters.",
        _table(*figure_rows(selection)),
        "## Limits",
        _list(
            [
                "The scores are probabilities for leads like those trained on. When the market, the sources of leads "
                "or the meaning of a field change, they no longer are.",
                "Who was contacted may have converted because of it: the scores say who converts, not whom a contact "
                "convinces.",
                "Values that are rare in training, or never seen, are all treated alike.",
            ]
        ),
        "## Provenance",
        _table(
            ["what", "value"],
            [
                ("source", at.source),
                ("sha256 of the data", at.data_sha256),
                ("trained at", f"{at.trained_at:%Y-%m-%d %H:%M:%S} UTC"),
                ("git commit", at.git_commit or "unknown"),
                ("MLflow run", at.mlflow_run_id),
            ],
        ),
    ]
    return "\n\n".join(sections) + "\n"


def _trained_on(leads: Leads, selection: Selection, rows: int) -> str:
    parts = selection.split
    return (
        f"{len(parts.train):,} of {rows:,} leads, of which {_converted(leads, parts.train):.1%} converted; judged "
        f"on {len(parts.held_out):,} held-out ones, {parts.how}, of which {selection.target.mean():.1%} converted. "
        + (REFITTED if selection.refitted else NOT_REFITTED)
    )


def sampled(stated: TrainingSample) -> str:
    """What was learned from, in a sentence."""
    return (
        f"A sample of {stated.sampled:,} of {stated.leads:,} leads: the newest {stated.whole:,} are all there, "
        f"the older ones are weighted (seed {stated.seed})."
    )


def _sample(stated: TrainingSample | None) -> list[str]:
    if stated is None:
        return []
    rows = [
        (f"{s.younger:,}", "converted" if s.converted else "lost", f"{s.leads:,}", f"{s.sampled:,}", f"{s.share:.2%}")
        for s in stated.strata
    ]
    return [
        f"{sampled(stated)} Of each stratum the weights sum to its leads. Models are judged on the newest leads alone.",
        _table(["younger leads, at least", "outcome", "leads", "sampled", "share"], rows),
    ]


def _converted(leads: Leads, rows: Rows) -> float:
    """The share of these leads, and of those that they stand for, that converted."""
    return float(np.average(leads.target[rows], weights=weights_of(leads, rows)))


def _rule(rule: ContactRule, exploration: float) -> list[str]:
    """From where a single lead is contacted, before a list of others tells its rank, and who is explored."""
    text = f"A lead that comes alone is contacted from score {rule.line:.4f} on"
    text += "." if rule.share_above is None else f", as {rule.share_above:.1%} of the held-out leads are."
    if rule.explores:
        text += (
            f" Below it {rule.explore_probability:.2%} of the leads, drawn by a hash of their ids, are contacted to "
            f"learn how they convert: {exploration:.0%} of the contacts."
        )
    return [text]


def _agreed(source: Source) -> str:
    stated = source.agreement
    if stated is None:
        return "Agreed by: nobody (a sample)."
    if stated.first_look:
        return f"**{stated.first_look[0].upper()}{stated.first_look[1:]}.**"
    return f"Agreed by: {source.agreed_by}, {source.agreed_on:%Y-%m-%d}."


def _recipe(recipe: TrainingRecipe) -> str:
    named = f" The recipe names {spoken(recipe.candidate)}." if recipe.candidate != "best" else ""
    if recipe.half_life_leads is not None:
        named += f" A lead counted half as much as one that is {recipe.half_life_leads:,.0f} leads younger."
    if recipe.monotone:
        bound = ", ".join(f"{name} ({direction})" for name, direction in recipe.monotone.items())
        named += f" With these numbers the score moves one way only: {bound}."
    if recipe.search_seconds:
        named += f" Settings were searched for {recipe.search_seconds:,.0f} s."
    return named


def skill_lines(skill: Skill) -> list[str]:
    """Whether the model is better than none, a sentence a line; the verdict is the last one."""
    value, low, high = skill.held_out_roc_auc
    lines = [
        f"ROC-AUC: {value:.3f} on the held-out leads (95 % interval {low:.3f} to {high:.3f}); {skill.roc_auc:.3f} over "
        f"all leads, each scored by a model that had not seen it, and at least {skill.roc_auc_at_least:.3f} (99 %).",
        f"Profit per 1,000 leads: {skill.gain_over_everyone:+,.0f} against contacting everyone, as far as the team "
        f"can; {skill.gain_over_random:+,.0f} against as many contacts at random.",
    ]
    if not skill.doubts:
        return [
            *lines,
            "The model ranks leads better than chance, and its contacts earn more than contacts without it.",
        ]
    because = f" Published because: {skill.published_because}." if skill.published_because else ""
    return [*lines, f"NO USE SHOWN: {'; '.join(skill.doubts)}.{because}"]


def figure_rows(selection: Selection) -> tuple[list[str], list[list[str]]]:
    """Header and rows: a figure a row, each candidate held out and, where it was, cross-validated."""
    names = list(selection.held_out)
    shown = [("held out", selection.held_out), ("5-fold", selection.cross_validated)]
    header = ["figure", *(f"{spoken(n)}, {how}" for n in names for how, figures in shown if figures)]
    both = [figures[n] for n in names for _, figures in shown if figures]
    return header, [[name, *(number(name, figures[name]) for figures in both)] for name in (*NAMES, "contacts")]


def choice_rows(selection: Selection) -> tuple[list[str], list[list[str]]]:
    """Header and rows: a metric a row, and first the threshold that was chosen."""
    seen = selection.held_out[selection.candidate]
    header = ["threshold by", "threshold", "its value", "asked for", "profit", "lost"]
    asked = 1000 * float((selection.scores >= selection.threshold).mean())
    chosen = [CHOSEN, f"{selection.threshold:.4f}", "", f"{asked:.0f}", f"{seen['profit']:,.0f}", ""]
    rows = [
        [
            c.metric,
            f"{c.threshold:.4f}",
            number(c.metric, c.value),
            f"{c.contacts:.0f}",
            f"{c.profit:,.0f}",
            f"{c.lost:,.0f}",
        ]
        for c in selection.choices
    ]
    return header, [chosen, *rows]


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
