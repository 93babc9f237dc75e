"""Which lead source an environment may train on.

An environment that pages must not train on the built-in sample, whose leads are invented. Any other source must state
its metric and who agreed on it: the train job publishes into the models bucket, and refuses a source that does not.

Nor may it learn from a larger sample than the jobs that train have memory for.

Real plans and deploys check this. Rehearsals do not: they run with the placeholder values of this repository.
"""

import tomllib
from pathlib import Path

from infra.environment import Environment
from infra.operations.programs import ROOT, Failed

AGREEMENT = ("metric", "metric_reason", "agreed_by", "agreed_on")
"""Keys that a source needs before its model is served to others, as `service/model/agreement.py` has them."""

MOST_ROWS = 1_000_000
"""Of `[recipe] rows`: the sample for which `infra/sizing.py` gives the jobs `train` and `retrain` memory."""


def check(env: Environment, root: Path = ROOT) -> None:
    """Raise Failed if the lead source of `env` cannot be read, is an unfit sample, lacks a key of AGREEMENT, or is
    to learn from more than MOST_ROWS leads.
    """
    where = f"infra/environments.py: lead_source of {env.id}: {env.lead_source}"
    try:
        source = tomllib.loads((root / env.lead_source).read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Failed(f"{where} cannot be read: {error}", "name the TOML file of your own leads") from error
    if "sample" not in source and (missing := [key for key in AGREEMENT if key not in source]):
        raise Failed(
            f"{where} lacks {', '.join(missing)}: its model is served to others, so people agree on its metric first",
            f"scripts/check --decide {env.lead_source} prints what to discuss, and what to write into the file",
        )
    if "sample" in source and env.pages:
        raise Failed(
            f"{where} has a [sample]: its leads are invented, and {env.id} is an environment that pages",
            "copy service/examples/crm_template.toml, describe your own leads in it, and name that file there",
        )
    recipe = source.get("recipe")
    rows = recipe.get("rows") if isinstance(recipe, dict) else None
    if isinstance(rows, int) and rows > MOST_ROWS:  # what is no number the service refuses, when it reads the source
        raise Failed(
            f"{where} has rows = {rows} in [recipe]: the jobs that train have memory for {MOST_ROWS:,}",
            f"leave rows out; a sample of {MOST_ROWS:,} leads is as good (service/lifecycle/README.md)",
        )
