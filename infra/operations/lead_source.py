"""An environment that pages must not train on the built-in sample, whose leads are invented.

Real plans and deploys check this. Rehearsals do not: they run with the placeholder values of this repository.
"""

import tomllib
from pathlib import Path

from infra.environment import Environment
from infra.operations.programs import ROOT, Failed


def check(env: Environment, root: Path = ROOT) -> None:
    """Raise Failed if `env` pages, and its lead source generates its leads or cannot be read."""
    if not env.pages:
        return
    where = f"infra/environments.py: lead_source of {env.id}: {env.lead_source}"
    try:
        source = tomllib.loads((root / env.lead_source).read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Failed(f"{where} cannot be read: {error}", "name the TOML file of your own leads") from error
    if "sample" in source:
        raise Failed(
            f"{where} has a [sample]: its leads are invented, and {env.id} is an environment that pages",
            "copy service/examples/crm_template.toml, describe your own leads in it, and name that file there",
        )
