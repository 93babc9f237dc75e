import shlex

import pytest

from infra.environments import ENVIRONMENTS, PROD
from infra.operations import variables
from infra.operations.programs import Programs
from infra.operations.rollout import reached


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_every_environment_has_all_variables_each_a_word_of_the_shell(
    env: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert variables.main([env]) == 0
    exported = dict(
        shlex.split(line)[1].split("=", 1) for line in capsys.readouterr().out.splitlines() if line[:7] == "export "
    )
    assert exported == variables.variables(ENVIRONMENTS[env])
    assert {name for name, value in exported.items() if not value} <= ({"ESCALATE_TO"} if env != "prod" else set())


def test_the_cluster_is_reached_as_a_deploy_reaches_it(capsys: pytest.CaptureFixture[str]) -> None:
    with reached(PROD, Programs({}, dry=True)):
        _, *deploys = shlex.split(capsys.readouterr().out)
    text = variables.script(PROD)
    for name, value in variables.variables(PROD).items():
        text = text.replace(f'"${name}"', value)
    (command,) = (shlex.split(line) for line in text.splitlines() if line.startswith("gcloud container"))
    assert command == [word for word in deploys if word != "--quiet"]


def test_an_unknown_environment_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        variables.main(["prd"])
    assert ended.value.code == 2
    assert "prod" in capsys.readouterr().err
