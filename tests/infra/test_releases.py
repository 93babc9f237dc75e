import json
import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from infra import releases
from infra.environments import DEV, ENVIRONMENTS, PROD
from infra.operations import images, real
from infra.rehearsal.steps import StackError
from infra.rehearsal.terraform import Terraform
from tests.facts import stating
from tests.infra.conftest import Stacks, stack

DIGEST = f"sha256:{'ab' * 32}"


def test_an_image_is_named_by_registry_and_digest() -> None:
    found = releases.image(PROD, "scoring", {"prod": {"scoring": DIGEST}})
    assert found == f"europe-west1-docker.pkg.dev/acme-leads-prod/acme-leads-prod-images/scoring@{DIGEST}"


def test_an_image_that_nobody_released_has_a_digest_that_no_image_has() -> None:
    assert releases.image(DEV, "jobs", {"prod": {"jobs": DIGEST}}).endswith(f"/jobs@sha256:{'0' * 64}")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('[dev]\nscoring = "latest"', "dev"),
        ('[dev]\nscoring = "sha256:AB"', "scoring"),
        (f'[dev]\nscorer = "{DIGEST}"', "scorer"),
        (f'scoring = "{DIGEST}"', "scoring"),
    ],
)
def test_what_is_no_digest_of_a_known_image_is_refused_by_name(text: str, named: str, tmp_path: Path) -> None:
    file = tmp_path / "releases.toml"
    file.write_text(text)
    with pytest.raises(ValidationError, match=named):
        releases.load(file)


def test_releases_are_of_environments_that_exist() -> None:
    assert releases.load().keys() <= ENVIRONMENTS.keys()


def test_a_real_plan_refuses_a_stack_with_an_image_that_nobody_released(engine: Terraform, tmp_path: Path) -> None:
    image = releases.image(DEV, "mlflow-server", {})
    other = stack(resource={"google_cloud_run_v2_service": {"s": {"template": {"containers": {"image": image}}}}})
    with pytest.raises(StackError, match=stating("releases.toml", "no digest", "mlflow-server")) as failed:
        real.plan([other], engine, folder=tmp_path, environ={})
    assert "scripts/deploy ENV --build" in (real.remedy(failed.value.said) or "")
    assert list(tmp_path.iterdir()) == []


def test_a_rehearsal_says_for_which_images_a_placeholder_stands(stacks: Stacks) -> None:
    missing = sorted(set(releases.IMAGES) - releases.load().get("dev", {}).keys())
    said = releases.notice(each.config for each in stacks("dev"))
    assert said == (f" Not released yet, a placeholder stands for the digest: {', '.join(missing)}." if missing else "")
    assert releases.notice([]) == ""


def test_every_image_is_named_by_a_digest_in_the_environments_own_registry(stacks: Stacks) -> None:
    for env in ENVIRONMENTS.values():
        text = " ".join(json.dumps(each.config) for each in stacks(env.id))
        images = set(re.findall(r'"image": "([^"]+)"', text))
        assert {re.sub("@sha256:[0-9a-f]{64}$", "", image) for image in images} == {
            f"{env.images}/{name}" for name in releases.IMAGES
        }


def written(text: str, tmp_path: Path, **digests: str) -> str:
    file = tmp_path / "releases.toml"
    file.write_text(text)
    releases.record("dev", {name.replace("_", "-"): digest for name, digest in digests.items()}, file)  # type: ignore[misc]
    assert list(tmp_path.iterdir()) == [file]
    return file.read_text()


def test_a_digest_is_written_where_it_belongs_and_everything_else_stays(tmp_path: Path) -> None:
    other = f"sha256:{'cd' * 32}"
    prod = f'[prod]\nscoring = "{other}"\n'
    before = f"# why\n\n[dev]\n# note\nscoring = '{other}' # old\n\n{prod}"
    assert written(before, tmp_path, scoring=DIGEST, mlflow_server=DIGEST) == (
        f'# why\n\n[dev]\n# note\nscoring = "{DIGEST}" # old\nmlflow-server = "{DIGEST}"\n\n{prod}'
    )


def test_an_environment_that_the_file_does_not_know_is_added(tmp_path: Path) -> None:
    assert written("# why\n", tmp_path, jobs=DIGEST) == f'# why\n\n[dev]\njobs = "{DIGEST}"\n'


def test_what_is_no_digest_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="jobs"):
        written("[dev]\n", tmp_path, jobs="latest")
    assert (tmp_path / "releases.toml").read_text() == "[dev]\n"


def test_every_image_has_a_recipe() -> None:
    assert set(images.RECIPES) == set(releases.IMAGES)
