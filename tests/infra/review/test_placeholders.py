import pytest

from infra.environments import DEV, PROD
from infra.review import placeholders


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("acme-leads-dev-nat", "{prefix}-{id}-nat"),
        ("projects/acme-leads-dev/locations/europe-west1", "projects/{project}/locations/europe-west1"),
        ("acme-leads-dev-jobs@acme-leads-dev.iam", "{prefix}-{id}-jobs@{project}.iam"),
        ("https://acme-leads-dev-mlflow-111111111111.run.app", "https://{prefix}-{id}-mlflow-{project_number}.run.app"),
        ("service-111111111111@x", "service-{project_number}@x"),
        ("10.10.0.0/22; 10.20.0.0/16", "{nodes_cidr}; {pods_cidr}"),
        ("leads-dev.acme.example", "{domain}"),
        ("Front door (dev)", "Front door ({id})"),
        ("objects/dev-alerting/", "objects/{id}-alerting/"),
        # another environment's values, words that only hold one, and Google's own names stay
        ("acme-leads-prod", "acme-leads-prod"),
        ("developer dev_x robot-dev", "developer dev_x robot-dev"),
        ("europe-west1-docker.pkg.dev/x", "europe-west1-docker.pkg.dev/x"),
        ("3111111111111", "3111111111111"),
        ("110.10.0.0/22", "110.10.0.0/22"),
    ],
)
def test_what_names_the_environment_is_a_placeholder(value: str, shown: str) -> None:
    assert placeholders.hider(DEV)(value) == shown


def test_a_project_of_another_name_and_the_names_of_resources_are_told_apart() -> None:
    env = PROD.model_copy(update={"project": "corp-ml-42"})
    assert placeholders.hider(env)("acme-leads-prod-a@corp-ml-42.iam") == "{prefix}-{id}-a@{project}.iam"


def test_a_range_that_an_environment_does_not_have_is_no_placeholder() -> None:
    assert DEV.spark_cidr is None
    assert "spark_cidr" not in placeholders.fields(DEV)
    spark = DEV.model_copy(update={"record_engine": "spark", "spark_cidr": "10.10.48.0/22"})
    assert placeholders.hider(spark)("10.10.48.0/22; 10.10.0.0/22") == "{spark_cidr}; {nodes_cidr}"
