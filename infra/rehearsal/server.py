"""Serves stand-in providers to Terraform from within this process, for as long as a rehearsal lasts.

Terraform takes a running provider from TF_REATTACH_PROVIDERS, the way provider developers test theirs:
it installs nothing, writes no lock file, and once this process ends there is nothing left to reattach to.
https://developer.hashicorp.com/terraform/plugin/debugging#starting-a-provider-in-debug-mode
"""

import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import grpc
from tf.gen import tfplugin_pb2 as pb

from infra.rehearsal.provider import Provider, Seen
from infra.rehearsal.schema import ProviderSchema

REATTACH = "TF_REATTACH_PROVIDERS"
# Where Terraform and OpenTofu take a provider to be from whose address names no registry:
# https://github.com/opentofu/registry/issues/4864
REGISTRIES = "registry.terraform.io", "registry.opentofu.org"


@contextmanager
def serve(schemas: Iterable[ProviderSchema], *, protects: bool = True, seen: set[Seen] | None = None) -> Iterator[str]:
    """Yields the value of TF_REATTACH_PROVIDERS while a provider for each schema is running.

    `protects`: whether they refuse to delete what is protected from it. `seen` collects the values that Google changes.
    """
    with ExitStack() as running:
        # Owned by this user alone, and short: a socket's path has at most 107 characters.
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="rehearsal-", dir="/tmp")))
        workers = running.enter_context(ThreadPoolExecutor(10))  # Terraform works on ten resources at once
        reattach = {}
        for number, schema in enumerate(schemas):
            socket = str(folder / f"{number}.sock")
            server = grpc.server(workers)
            server.add_generic_rpc_handlers((_handler(Provider(schema, protects=protects, seen=seen)),))
            server.add_insecure_port(f"unix://{socket}")
            server.start()
            running.callback(_stop, server)
            reattach[schema.address] = reattach[schema.address.replace(*REGISTRIES)] = {
                "Protocol": "grpc",
                "ProtocolVersion": 6,
                "Pid": os.getpid(),
                "Test": True,  # Terraform must not stop this process when it is done
                "Addr": {"Network": "unix", "String": socket},
            }
        yield json.dumps(reattach)


def _handler(provider: Provider) -> grpc.GenericRpcHandler:
    """The provider as a gRPC service. Calls that it does not know are answered UNIMPLEMENTED."""
    calls: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
        (pb.GetMetadata, provider.get_metadata),
        (pb.GetProviderSchema, provider.get_provider_schema),
        (pb.ValidateProviderConfig, provider.validate_provider_config),
        (pb.ValidateResourceConfig, provider.validate_resource_config),
        (pb.ValidateDataResourceConfig, provider.validate_data_resource_config),
        (pb.UpgradeResourceState, provider.upgrade_resource_state),
        (pb.ConfigureProvider, provider.configure_provider),
        (pb.ReadResource, provider.read_resource),
        (pb.PlanResourceChange, provider.plan_resource_change),
        (pb.ApplyResourceChange, provider.apply_resource_change),
        (pb.ImportResourceState, provider.import_resource_state),
        (pb.ReadDataSource, provider.read_data_source),
        (pb.StopProvider, provider.stop_provider),
    )
    return grpc.method_handlers_generic_handler(
        "tfplugin6.Provider",
        {message.DESCRIPTOR.name: _method(message, call) for message, call in calls},
    )


def _method(message: Any, call: Callable[[Any], Any]) -> grpc.RpcMethodHandler:
    return grpc.unary_unary_rpc_method_handler(
        lambda request, _context: call(request),
        request_deserializer=message.Request.FromString,
        response_serializer=message.Response.SerializeToString,
    )


def _stop(server: grpc.Server) -> None:
    server.stop(grace=None).wait()
