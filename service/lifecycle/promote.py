"""By hand: serve another version, with a reason and an author. `python -m service.lifecycle.promote`."""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Console

from service import history
from service.history import Decision, Move
from service.lifecycle.promotion.reconcile import decision_of, repair
from service.lifecycle.runtime.runner import EXIT, JobFailed, Progress, add_places, check_places, failed
from service.model import bundle
from service.model.bundle import SUMS, Bundle, BundleRefused, Pointer
from service.storage import Conflict, Storage, StorageError, open_storage
from service.tracking import TrackingError

EXAMPLES = """  python -m service.lifecycle.promote 20261123T091502Z-1a2b3c4d --author ann --reason "pilot ended" \\
      --models gs://bucket --tracking http://127.0.0.1:5000
  python -m service.lifecycle.promote 20261123T091502Z-1a2b3c4d --author ann --reason "CRM renamed a field" \\
      --new-schema     although it would refuse leads that today's callers send
"""


def promote(
    models: Storage,
    tracking_uri: str,
    version: str,
    author: str,
    reason: str,
    now: datetime,
    *,
    new_schema: bool = False,
    action: Move = "promoted",
    tell: Progress = lambda _: None,
) -> Decision:
    """Verify the version, move the pointer to it, record it; the services follow at their next poll.

    Where MLflow is away the pointer moves all the same, and the next job's repair step gives the alias. Done twice it
    changes nothing. Raises JobFailed, BundleRefused (also where it would refuse today's callers), and StorageError.
    """
    pointed = bundle.read_pointer(models)
    current = pointed[0] if pointed else None
    pointer = Pointer(
        version=version,
        sums_sha256=_sums(models, version),
        moved_at=now,
        moved_by=author,
        reason=reason,
        new_schema=new_schema,
        action=action,
        before=current and current.version,
    )
    tell(f"verifying {version}")
    chosen = bundle.load(models, pointer)
    if current and current.version == version and current.new_schema >= new_schema:
        tell(f"{version} is served already")
        decided = decision_of(current, chosen.manifest)
    else:
        if current:
            _check(chosen, _served(models, current, tell), new_schema)
        try:
            bundle.move_pointer(models, pointer, pointed[1] if pointed else None)
        except Conflict as error:
            raise JobFailed(f"{error}; look what is served now, and decide again") from error
        decided = decision_of(pointer, chosen.manifest)
    try:
        repair(models, tracking_uri)
    except TrackingError as error:
        tell(f"{error}. {version} is served all the same; the next job gives it the alias")
    return decided


def served_before(models: Storage) -> str:
    """The version that was served before today's, at its promotion: so a second roll-back goes further back.

    Raises JobFailed where there is none.
    """
    pointed = bundle.read_pointer(models)
    if pointed is None:
        raise JobFailed(f"{models.url} serves nothing yet; there is nothing to roll back")
    pointer = pointed[0]
    before = pointer.before if pointer.action == "promoted" else None
    if pointer.action != "promoted":
        decisions = reversed(history.latest(models, Decision, LOOK_BACK))
        made = (d for d in decisions if d.action == "promoted" and d.version == pointer.version)
        before = next((d.before for d in made), None)
    if before is None:
        raise JobFailed(f"what was served before {pointer.version} is not known; name a version: {_known(models)}")
    return before


LOOK_BACK = 1_000
"""Decisions read to find what was served before."""


def _served(models: Storage, pointer: Pointer, tell: Progress) -> Bundle | None:
    try:
        return bundle.load(models, pointer)
    except BundleRefused as refused:
        # What is broken must not keep anybody from going back; each service compares with what it serves itself.
        tell(f"{pointer.version}, which the pointer names, cannot be compared with: {refused}")
        return None


def _check(chosen: Bundle, served: Bundle | None, new_schema: bool) -> None:
    if served is None:
        return
    mine, theirs = chosen.manifest.provenance.source, served.manifest.provenance.source
    if mine != theirs:
        raise JobFailed(f"{chosen.version} scores leads of the source {mine!r}; {theirs!r} is served here")
    if not new_schema:
        try:
            bundle.check_compatible(chosen, served)
        except BundleRefused as refused:
            raise JobFailed(
                f"{refused}. When they are ready for it: promote {chosen.version} --new-schema"
            ) from refused


def _sums(models: Storage, version: str) -> str:
    try:
        return bundle.published_sums(models, version)
    except BundleRefused as refused:
        raise JobFailed(f"{refused}; there are: {_known(models)}") from refused


def _known(models: Storage) -> str:
    whole = [key.split("/")[1] for key in models.keys("models/") if key.endswith(f"/{SUMS}")]
    return ", ".join(whole[-10:]) or f"no bundles in {models.url}"


def command(name: str, description: str, examples: str) -> argparse.ArgumentParser:
    """The command line of promote and rollback."""
    parser = argparse.ArgumentParser(
        prog=f"python -m service.lifecycle.{name}",
        description=description,
        epilog=f"examples:\n{examples}\n{EXIT.removesuffix(' or an unusable lead source')}\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_places(parser, "models", "tracking")
    parser.add_argument("--author", required=True, help="who decides")
    parser.add_argument("--reason", required=True, help="why; it stays in the audit record")
    return parser


def run(options: argparse.Namespace, action: Move, version: str | None, new_schema: bool) -> int:
    """Do it, and say what was done; return the exit status."""
    console, out = Console(stderr=True), Console()

    def tell(line: str) -> None:
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    try:
        models = open_storage(options.models)
    except ValueError as error:
        return failed(console, error, 2)
    try:
        wanted = version or served_before(models)
        now = datetime.now(UTC)
        served = promote(
            models,
            options.tracking,
            wanted,
            options.author,
            options.reason,
            now,
            new_schema=new_schema,
            action=action,
            tell=tell,
        )
    except (JobFailed, BundleRefused, StorageError) as error:
        return failed(console, error, 1)
    before = f", before {served.before}" if served.before else ""
    out.print(f"serving {served.version} from {models.url}{before}", markup=False, highlight=False, soft_wrap=True)
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = command("promote", "Serve this version; it is verified first, and services follow at once.", EXAMPLES)
    parser.add_argument("version", metavar="VERSION", help="a folder below models/")
    parser.add_argument("--new-schema", action="store_true", help="accept that it may refuse today's callers")
    options = parser.parse_args(arguments)
    check_places(parser, options, "models", "tracking")
    return run(options, "promoted", options.version, options.new_schema)


if __name__ == "__main__":
    sys.exit(main())
