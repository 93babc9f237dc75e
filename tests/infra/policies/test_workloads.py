import pytest

from infra.policies.plan import Plan, Resource
from infra.policies.workloads import SERVICE, ingress

GRANT = f"{SERVICE}_iam_member"


@pytest.mark.parametrize(
    ("opened", "member", "of", "refused"),
    [
        ("INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER", "serviceAccount:jobs@p.iam.gserviceaccount.com", "mlflow", False),
        ("INGRESS_TRAFFIC_ALL", "serviceAccount:jobs@p.iam.gserviceaccount.com", "mlflow", True),
        ("INGRESS_TRAFFIC_ALL", "allUsers", "mlflow", True),
        ("INGRESS_TRAFFIC_ALL", "group:analysts@northwind.com", "other", True),
        ("INGRESS_TRAFFIC_ALL", "group:analysts@northwind.com", "mlflow", False),
        (None, "serviceAccount:jobs@p.iam.gserviceaccount.com", "mlflow", True),
    ],
)
def test_the_internet_reaches_a_service_only_where_a_group_may_invoke_it(
    opened: str | None, member: str, of: str, refused: bool
) -> None:
    plan = Plan("tracking", [])
    service = Resource(f"{SERVICE}.mlflow", SERVICE, {"ingress": opened}, {}, {}, plan)
    name = {"name": {"references": [f"{SERVICE}.{of}.name", f"{SERVICE}.{of}"]}}
    plan.resources.append(Resource(f"{GRANT}.one", GRANT, {"member": member}, {}, name, plan))
    assert bool(ingress(service)) is refused
