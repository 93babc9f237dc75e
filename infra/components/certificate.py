"""The domain's managed certificate, proven by a DNS record: it is there before traffic is, and renews by itself."""

from infra.bindings import (
    Certificate,
    CertificateManaged,
    CertificateMap,
    CertificateMapEntry,
    DnsAuthorization,
    Lifecycle,
    TerraformOutput,
    TerraformStack,
)
from infra.environment import Environment


def add_certificate(stack: TerraformStack, env: Environment) -> str:
    """The id of a map that holds it; the output `certificate_record` is what the domain's zone needs."""
    kept = Lifecycle(prevent_destroy=True)
    authorization = DnsAuthorization(
        stack,
        "dns_authorization",
        name=env.name("edge"),
        location="global",
        domain=env.domain,
        type="FIXED_RECORD",
        lifecycle=kept,
    )
    TerraformOutput(
        stack,
        "certificate_record",
        value=authorization.dns_resource_record,
        description="The CNAME record that proves the domain to be yours.",
    )
    certificate = Certificate(
        stack,
        "certificate",
        name=env.name("edge"),
        location="global",
        scope="DEFAULT",
        managed=CertificateManaged(domains=[env.domain], dns_authorizations=[authorization.id]),
        lifecycle=kept,
    )
    map_ = CertificateMap(stack, "certificates", name=env.name("edge"))
    CertificateMapEntry(
        stack,
        "certificate_of_domain",
        name=env.name("edge"),
        map=map_.name,
        hostname=env.domain,
        certificates=[certificate.id],
    )
    return str(map_.id)
