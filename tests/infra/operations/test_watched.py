"""What an environment's alerts are computed from is what its stacks are built of."""

import json

import pytest

from infra.environments import ENVIRONMENTS
from infra.operations import watched


def test_traffic_and_jobs_of_an_environment_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert watched.main(["prod"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["project"], said["leads_per_day"]) == (
        ENVIRONMENTS["prod"].project,
        ENVIRONMENTS["prod"].leads_per_day,
    )
    assert {"evaluate", "drift", "retrain", "batch"} <= {job["name"] for job in said["jobs"]}
    assert all(job["timeout"] >= 60 and len(job["schedule"].split()) == 5 for job in said["jobs"])


def test_another_environment_is_wrong_use() -> None:
    with pytest.raises(SystemExit) as ended:
        watched.main(["moon"])
    assert ended.value.code == 2
