"""A provider that knows a schema and no cloud.

It validates, plans and applies as the schema says; what the cloud would decide it fills with
placeholders. Terraform's state is the only record of what it has made.
The protocol: https://github.com/hashicorp/terraform/blob/main/docs/plugin-protocol/tfplugin6.8.proto
"""

import json
from collections.abc import Container
from functools import cached_property
from typing import Any

from tf.gen import tfplugin_pb2 as pb

from infra.rehearsal import changes, provider_facts, replacement, rules
from infra.rehearsal.afterlife import Afterlife
from infra.rehearsal.schema import Attribute, Block, ProviderSchema
from infra.rehearsal.values import UNKNOWN, Steps, decode, encode, settle, walk

_NESTING = pb.Schema.NestedBlock.NestingMode
_INHERITED = ("project", "region", "zone")  # taken from the provider's configuration when not set


Seen = tuple[str, str, str]  # the type and id of a resource, the path of a value


class Provider:
    """The stand-in for one provider: the methods are the protocol's, in its order."""

    def __init__(self, schema: ProviderSchema, *, protects: bool = True, seen: set[Seen] | None = None) -> None:
        """`seen` collects the values that Google changes by itself."""
        self.schema, self.protects = schema, protects
        self.seen: set[Seen] = set() if seen is None else seen
        self.settings: dict[str, str] = {}
        self.afterlife = Afterlife()

    def get_metadata(self, _request: Any) -> Any:
        """Names the types."""
        return pb.GetMetadata.Response(
            server_capabilities=pb.ServerCapabilities(get_provider_schema_optional=True),
            resources=[pb.GetMetadata.ResourceMetadata(type_name=t) for t in self.schema.resources],
            data_sources=[pb.GetMetadata.DataSourceMetadata(type_name=t) for t in self.schema.data_sources],
        )

    def get_provider_schema(self, _request: Any) -> Any:
        """All schemas."""
        return self._schemas

    @cached_property
    def _schemas(self) -> Any:
        """Made once: each command of Terraform asks for them."""
        return pb.GetProviderSchema.Response(
            provider=_schema(self.schema.provider),
            resource_schemas={t: _schema(block) for t, block in self.schema.resources.items()},
            data_source_schemas={t: _schema(block) for t, block in self.schema.data_sources.items()},
            server_capabilities=pb.ServerCapabilities(get_provider_schema_optional=True),
        )

    def validate_provider_config(self, _request: Any) -> Any:
        """Accepts: Terraform has checked it against the schema."""
        return pb.ValidateProviderConfig.Response()

    def validate_resource_config(self, request: Any) -> Any:
        """Refuses what the schema alone cannot: unlisted values, computed values set, what breaks the code's rules."""
        config, type_name = decode(request.config), request.type_name
        if self.schema.version not in (rules.VERSION, rules.PAGERDUTY_VERSION):
            faults = _faults(self.schema.resources[type_name], config)
            return pb.ValidateResourceConfig.Response(diagnostics=faults)
        faults = _faults(self.schema.resources[type_name], config, rules.enumerated(type_name))
        faults += [_fault(said, "", (path.partition(".")[0],)) for path, said in rules.refused(type_name, config)]
        return pb.ValidateResourceConfig.Response(diagnostics=faults)

    def validate_data_resource_config(self, request: Any) -> Any:
        """As for a resource."""
        block = self.schema.data_sources[request.type_name]
        return pb.ValidateDataResourceConfig.Response(diagnostics=_faults(block, decode(request.config)))

    def upgrade_resource_state(self, request: Any) -> Any:
        """The state as this schema has it: the provider's version may be a later one than the state's."""
        state = _upgraded(self.schema.resources[request.type_name], json.loads(request.raw_state.json))
        return pb.UpgradeResourceState.Response(upgraded_state=pb.DynamicValue(json=json.dumps(state).encode()))

    def configure_provider(self, request: Any) -> Any:
        """Remembers project, region and zone."""
        config = decode(request.config)
        self.settings = {name: config[name] for name in _INHERITED if isinstance(config.get(name), str)}
        return pb.ConfigureProvider.Response()

    def read_resource(self, request: Any) -> Any:
        """The state, with what Google changes by itself; nothing else drifts."""
        known = decode(request.current_state)
        state = changes.reported(request.type_name, known)
        state = _upgraded(self.schema.resources[request.type_name], state)  # facts name the blocks of google 6.50.0
        self.seen.update((request.type_name, str(state.get("id")), path) for path in replacement.changed(known, state))
        return pb.ReadResource.Response(new_state=encode(state), private=request.private)

    def plan_resource_change(self, request: Any) -> Any:
        """What Terraform proposes, with documented defaults; what the cloud decides is unknown."""
        prior, proposed = decode(request.prior_state), decode(request.proposed_new_state)
        block = self.schema.resources[request.type_name]
        planned = proposed if proposed is None else self._planned(block, prior, proposed)
        if prior and planned:
            planned = changes.suppressed(request.type_name, prior, planned)
        replaces = replacement.replaces(request.type_name, prior, planned) if prior and planned else ()
        return pb.PlanResourceChange.Response(
            planned_state=encode(planned),
            requires_replace=[_path((path.partition(".")[0],)) for path in replaces],
            planned_private=request.prior_private,
            legacy_type_system=True,  # as the real one: built on SDK v2, whose plans Terraform tolerates
        )

    def _planned(self, block: Block, prior: Any, proposed: Any) -> Any:
        def decide(attribute: Attribute, value: Any, steps: Steps) -> Any:
            value = attribute.get("default") if value is None else value
            if value is not None or not attribute.get("computed"):
                return value
            if len(steps) == 1 and steps[0] in self.settings:
                return self.settings[str(steps[0])]
            # What exists keeps what the cloud left empty; a block within it may be new.
            return None if _exists(prior, steps) else UNKNOWN

        return walk(block, proposed, decide)

    def apply_resource_change(self, request: Any) -> Any:
        """The plan with placeholders for what was unknown."""
        planned = decode(request.planned_state)
        block = self.schema.resources[request.type_name]
        prior = decode(request.prior_state)
        if self.protects and (said := self.afterlife.refuses(request.type_name, prior, planned)):
            held = pb.Diagnostic(severity=pb.Diagnostic.ERROR, summary=said)
            return pb.ApplyResourceChange.Response(new_state=request.prior_state, diagnostics=[held])
        made = planned if planned is None else self._made(request.type_name, block, planned)
        self.afterlife.applied(request.type_name, prior, made)
        return pb.ApplyResourceChange.Response(new_state=encode(made), legacy_type_system=True)

    def _made(self, type_name: str, block: Block, planned: dict[str, Any]) -> dict[str, Any]:
        known = self.settings | {name: value for name, value in planned.items() if isinstance(value, str)}
        answers = provider_facts.ANSWERS.get(type_name, {})
        seed = json.dumps([type_name, planned], default=str, sort_keys=True)

        def fill(attribute: Attribute, value: Any, steps: Steps) -> Any:
            if value is UNKNOWN and len(steps) == 1 and steps[0] in answers:
                return answers[str(steps[0])].format_map(_Known(known))
            return settle(attribute["type"], value, seed + repr(steps))

        return dict(walk(block, planned, fill))

    def import_resource_state(self, request: Any) -> Any:
        """What a destroy has left, else an object of which only the id is known."""
        block = self.schema.resources[request.type_name]
        if left := self.afterlife.left(request.type_name, request.id):
            found = pb.ImportResourceState.ImportedResource(type_name=request.type_name, state=encode(left))
            return pb.ImportResourceState.Response(imported_resources=[found])
        state: dict[str, Any] = dict.fromkeys(block["attributes"])
        for name, nested in block["block_types"].items():
            state[name] = None if nested["nesting_mode"] == "single" else []
        imported = pb.ImportResourceState.ImportedResource(
            type_name=request.type_name, state=encode(state | {"id": request.id})
        )
        return pb.ImportResourceState.Response(imported_resources=[imported])

    def read_data_source(self, request: Any) -> Any:
        """The configuration with example answers where `facts` has them, else placeholders."""
        config = decode(request.config)
        examples = provider_facts.EXAMPLES.get(request.type_name, {})
        seed = json.dumps([request.type_name, config], default=str, sort_keys=True)

        def answer(attribute: Attribute, value: Any, steps: Steps) -> Any:
            if value is None and (path := ".".join(map(str, steps))) in examples:
                return settle(attribute["type"], examples[path], seed + repr(steps))
            unset = value is None and attribute.get("computed")
            return settle(attribute["type"], UNKNOWN if unset else value, seed + repr(steps))

        block = self.schema.data_sources[request.type_name]
        return pb.ReadDataSource.Response(state=encode(walk(block, config, answer)))

    def stop_provider(self, _request: Any) -> Any:
        """Has nothing to stop."""
        return pb.StopProvider.Response()


def _exists(prior: Any, steps: Steps) -> bool:
    """Whether the resource is there, and the block in it that holds the attribute at these steps."""
    for step in steps[:-1]:
        try:
            prior = prior[step]
        except (KeyError, IndexError, TypeError):
            return False
    return isinstance(prior, dict)


class _Known(dict[str, Any]):
    """What answers are built from; what is not known yet is made up."""

    def __missing__(self, name: str) -> str:
        return f"rehearsed-{name}"


def _upgraded(block: Block, state: dict[str, Any]) -> dict[str, Any]:
    """A state without what the schema no longer has, with what it has now, and numbers as text where they became text.

    As the SDK does for every resource (`removeAttributes`), and the provider for a bucket of schema 3:
    https://github.com/hashicorp/terraform-plugin-sdk/blob/v2.40.0/helper/schema/grpc_provider.go
    `ResourceStorageBucketStateUpgradeV3` in github.com/hashicorp/terraform-provider-google/blob/
    b7e40fdaa8ab02b5e8e5bedef37f72d93c8a595e/google/services/storage/resource_storage_bucket_600_migration.go
    """
    upgraded = {name: _retyped(attribute, state.get(name)) for name, attribute in block["attributes"].items()}
    for name, nested in block["block_types"].items():
        inner = state.get(name)
        if nested["nesting_mode"] == "single":
            upgraded[name] = _upgraded(nested["block"], inner) if isinstance(inner, dict) else None
        else:
            upgraded[name] = [_upgraded(nested["block"], element) for element in inner or ()]
    return upgraded


def _retyped(attribute: Attribute, value: Any) -> Any:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if number and attribute["type"] == "string" else value


def _schema(block: Block) -> pb.Schema:
    return pb.Schema(version=0, block=_block(block))


def _block(block: Block) -> pb.Schema.Block:
    return pb.Schema.Block(
        attributes=[
            pb.Schema.Attribute(
                name=name,
                type=json.dumps(attribute["type"]).encode(),
                required=attribute.get("required", False),
                optional=attribute.get("optional", False),
                computed=attribute.get("computed", False),
                sensitive=attribute.get("sensitive", False),
            )
            for name, attribute in block["attributes"].items()
        ],
        block_types=[
            pb.Schema.NestedBlock(
                type_name=name,
                nesting=_NESTING.Value(nested["nesting_mode"].upper()),
                min_items=nested.get("min_items", 0),
                max_items=nested.get("max_items", 0),
                block=_block(nested["block"]),
            )
            for name, nested in block["block_types"].items()
        ],
    )


def _faults(block: Block, config: Any, elsewhere: Container[str] = ()) -> list[pb.Diagnostic]:
    """What the real provider would refuse too, in the words of its SDK; the values of `elsewhere` the rules check."""
    faults: list[pb.Diagnostic] = []

    def check(attribute: Attribute, value: Any, steps: Steps) -> Any:
        name, enum = steps[-1], attribute.get("enum")
        if value is not None and attribute.get("computed") and not attribute.get("optional"):
            detail = f"Can't configure a value for {name!r}: it is decided when the configuration is applied."
            faults.append(_fault("Value for unconfigurable attribute", detail, steps))
        if value is None and attribute.get("required"):  # written, but null: Terraform asks no more than that
            detail = f'The argument "{name}" is required, but no definition was found.'
            faults.append(_fault("Missing required argument", detail, steps))
        unlisted = enum and isinstance(value, str) and value not in (*enum, "")
        if unlisted and ".".join(step for step in steps if isinstance(step, str)) not in elsewhere:
            faults.append(_fault(f"expected {name} to be one of {enum}, got {value}", "", steps))
        return value

    walk(block, config, check)
    return faults


def _fault(summary: str, detail: str, steps: Steps) -> pb.Diagnostic:
    return pb.Diagnostic(severity=pb.Diagnostic.ERROR, summary=summary, detail=detail, attribute=_path(steps))


def _path(steps: Steps) -> pb.AttributePath:
    step = pb.AttributePath.Step
    return pb.AttributePath(
        steps=[step(element_key_int=s) if isinstance(s, int) else step(attribute_name=s) for s in steps]
    )
