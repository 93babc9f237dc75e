"""The pointer says what is served; the audit record and MLflow's alias follow it, at once or at the next job."""

from service import history, tracking
from service.history import Decision, Estimate
from service.model import bundle
from service.model.bundle import Manifest, Pointer
from service.storage import Storage

ROUNDS = 3


def repair(models: Storage, tracking_uri: str) -> Decision | None:
    """Record the decision that moved the pointer, and give the alias to what it names; None: nothing is served.

    Changes nothing where all agree. Raises StorageError, BundleRefused and TrackingError; what is in the bucket is
    written before MLflow is asked.
    """
    for _ in range(ROUNDS):
        pointed = bundle.read_pointer(models)
        if pointed is None:
            return None
        pointer, generation = pointed
        manifest = bundle.load(models, pointer).manifest
        decision = decision_of(pointer, manifest)
        history.append(models, decision)
        tracking.follow(tracking_uri, manifest.provenance.source, manifest.provenance.mlflow_run_id, decision)
        now = bundle.read_pointer(models)
        if now and now[1] == generation:  # else it was moved meanwhile, and the alias may be the older one's
            break
    return decision


def decision_of(pointer: Pointer, manifest: Manifest) -> Decision:
    """The decision that moved the pointer, always the same one for the same pointer."""
    of = manifest.provenance
    compared = of.compared if pointer.action == "promoted" and of.champion == pointer.before else {}
    return Decision(
        time=pointer.moved_at,
        action=pointer.action,
        trigger=pointer.trigger,
        version=pointer.version,
        before=pointer.before,
        author=pointer.moved_by,
        reason=pointer.reason,
        figures={name: Estimate(*estimate) for name, estimate in compared.items()},
        mlflow_run_id=of.mlflow_run_id,
    )
