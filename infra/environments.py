"""Your environments, side by side: replace these values by your own; upgrades never touch this file."""

from infra.environment import Environment

DEV = Environment(
    id="dev",
    prefix="acme-leads",
    project="acme-leads-dev",
    region="europe-west1",
    nodes_cidr="10.10.0.0/22",
    pods_cidr="10.20.0.0/16",
    services_cidr="10.10.16.0/22",
    run_cidr="10.10.32.0/22",
    peering_cidr="10.10.64.0/20",
    pages=False,
    ticket_email="lead-scoring@acme.example",
    runbooks_url="https://github.com/acme/lead-scoring/blob/main/monitoring/runbooks",
    personal_data_days=90,
    access_log_days=90,
    scoring_replicas=(1, 2),
    lead_source="service/examples/sample.toml",
    batch_tasks=1,
    batch_parallelism=1,
    job_cpu_quota=20,
)

STAGING = Environment(
    id="staging",
    prefix="acme-leads",
    project="acme-leads-staging",
    region="europe-west1",
    nodes_cidr="10.11.0.0/22",
    pods_cidr="10.21.0.0/16",
    services_cidr="10.11.16.0/22",
    run_cidr="10.11.32.0/22",
    peering_cidr="10.11.64.0/20",
    pages=False,
    ticket_email="lead-scoring@acme.example",
    runbooks_url="https://github.com/acme/lead-scoring/blob/main/monitoring/runbooks",
    personal_data_days=90,
    access_log_days=90,
    scoring_replicas=(2, 4),
    lead_source="service/examples/sample.toml",
    batch_tasks=10,
    batch_parallelism=5,
    job_cpu_quota=20,
)

PROD = Environment(
    id="prod",
    prefix="acme-leads",
    project="acme-leads-prod",
    region="europe-west1",
    nodes_cidr="10.12.0.0/22",
    pods_cidr="10.22.0.0/16",
    services_cidr="10.12.16.0/22",
    run_cidr="10.12.32.0/22",
    peering_cidr="10.12.64.0/20",
    pages=True,
    ticket_email="lead-scoring@acme.example",
    runbooks_url="https://github.com/acme/lead-scoring/blob/main/monitoring/runbooks",
    scoring_replicas=(3, 12),
    lead_source="service/examples/sample.toml",
    batch_tasks=100,
    batch_parallelism=20,
    job_cpu_quota=40,
)

ENVIRONMENTS = {env.id: env for env in (DEV, STAGING, PROD)}
