"""Each object by itself, strictly by the schemas of the versions that a cluster may run; unknown kinds are refused."""

from collections.abc import Iterable, Iterator
from typing import Any

import jsonschema
import kubernetes_validate

Object = dict[str, Any]  # one Kubernetes object

# The oldest in the channels REGULAR and STABLE, and the newest there is a schema of: a channel upgrades the cluster by
# itself. Within a version of an API fields are only added, so what both take is taken between them too.
# https://cloud.google.com/kubernetes-engine/docs/release-schedule
# https://kubernetes.io/docs/reference/using-api/deprecation-policy/
VERSIONS = ("1.33", "1.37")

_TEXT = {"type": "string"}
_TEXTS = {"type": "object", "additionalProperties": _TEXT}
_COUNT = {"type": "integer", "minimum": 0}
_DURATION = {"type": "string", "pattern": r"^([0-9]+(ms|[smhdwy]))+$"}


def _closed(required: Iterable[str] = (), **properties: Any) -> Object:
    return {
        "type": "object",
        "properties": properties,
        "required": [*required],
        "additionalProperties": False,
    }


_REQUIREMENT = _closed(
    ("key", "operator"),
    key=_TEXT,
    operator={"enum": ["In", "NotIn", "Exists", "DoesNotExist"]},
    values={"type": "array", "items": _TEXT},
)
_SELECTOR = _closed(matchLabels=_TEXTS, matchExpressions={"type": "array", "items": _REQUIREMENT})
_METADATA = _closed(("name", "namespace"), name=_TEXT, namespace=_TEXT, labels=_TEXTS, annotations=_TEXTS)
# What we use and may come to use of it; authentication and relabelling are left out, and so refused.
# https://github.com/GoogleCloudPlatform/prometheus-engine/blob/main/charts/operator/crds/monitoring.googleapis.com_podmonitorings.yaml
_POD_MONITORING = _closed(
    ("selector", "endpoints"),
    selector=_SELECTOR,
    endpoints={
        "type": "array",
        "minItems": 1,
        "items": _closed(
            ("port", "interval"),
            port={"type": ["integer", "string"]},
            path=_TEXT,
            scheme={"enum": ["http", "https"]},
            params={"type": "object", "additionalProperties": {"type": "array", "items": _TEXT}},
            interval=_DURATION,
            timeout=_DURATION,
        ),
    },
    targetLabels=_closed(
        metadata={"type": "array", "items": {"enum": ["pod", "container", "node"]}},
        fromPod={"type": "array", "items": _closed(("from",), **{"from": _TEXT, "to": _TEXT})},
    ),
    limits=_closed(samples=_COUNT, labels=_COUNT, labelNameLength=_COUNT, labelValueLength=_COUNT),
)
CUSTOM = {
    ("monitoring.googleapis.com/v1", "PodMonitoring"): _closed(
        ("apiVersion", "kind", "metadata", "spec"),
        apiVersion=_TEXT,
        kind=_TEXT,
        metadata=_METADATA,
        spec=_POD_MONITORING,
    ),
}
"""Kinds that are not Kubernetes' own, each with its schema."""


def name(each: Object) -> str:
    """How messages call an object: `Service scoring`."""
    return f"{each['kind']} {each['metadata']['name']}"


def problems(each: Object) -> Iterator[str]:
    """What no cluster, or not every version of it, would take."""
    if custom := CUSTOM.get((each["apiVersion"], each["kind"])):
        for error in jsonschema.Draft202012Validator(custom).iter_errors(each):
            yield f"{name(each)}: {error.json_path}: {error.message}"
        return
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(each, version, strict=True)
        except kubernetes_validate.SchemaNotFoundError:
            yield f"{name(each)}: Kubernetes {version} has no kind {each['kind']} in {each['apiVersion']}"
        except kubernetes_validate.ValidationError as error:
            yield f"{name(each)}: {error.json_path}: {error.message} (Kubernetes {version})"
