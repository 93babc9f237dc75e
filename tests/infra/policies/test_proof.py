from collections import Counter
from pathlib import Path

import pytest

from infra.policies import proof
from infra.policies.policy import POLICIES, Policy
from infra.policies.proof import ProofError, bring_in
from infra.policies.risks import RISKS, Risk, RiskError, read
from infra.rehearsal.terraform import Terraform
from tests.facts import stating
from tests.infra.conftest import Stacks


@pytest.mark.system  # checkov has an environment of its own: scripts/env policy
def test_every_risk_that_is_brought_into_our_stacks_is_refused(stacks: Stacks, engine: Terraform) -> None:
    proven = proof.prove(stacks("prod"), RISKS, engine)
    print(f"\n{proof.table(proven)}")
    assert [risk.name for risk, refusals in proven if not refusals] == []


def test_no_refusal_is_counted_for_two_risks() -> None:
    assert len(RISKS) >= 20
    assert len({risk.name for risk in RISKS}) == len(RISKS)
    refusals = Counter((risk.refused_by, risk.stack, risk.at or risk.address) for risk in RISKS)
    assert [refusal for refusal, count in refusals.items() if count > 1] == []


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("risk = 'r', set = 'a'", "s.t.n.c: needs risk, and set and to, removes, or adds"),
        ("set = 'a', to = 1", "s.t.n.c: needs risk"),
        ("risk = 'r', removes = 'a', too = 1", "s.t.n.c: unknown too"),
        ("risk = 'r', set = 'a', to = 1, adds = {}", "s.t.n.c: unknown adds"),
    ],
)
def test_a_risk_that_does_not_say_all_of_its_change_is_refused(entry: str, says: str, tmp_path: Path) -> None:
    file = tmp_path / "some.toml"
    file.write_text(f"[s.t.n]\nc = {{ {entry} }}\n")
    with pytest.raises(RiskError, match=rf"some\.toml: {says}"):
        read(file)


def test_a_risk_is_refused_by_a_check_that_exists() -> None:
    assert {risk.refused_by for risk in RISKS if not risk.refused_by.startswith("CKV")} <= POLICIES.keys()


def test_a_risk_that_the_stack_no_longer_has_a_line_for_is_not_proven_silently(stacks: Stacks) -> None:
    bucket = "google_storage_bucket.models"
    with pytest.raises(ProofError, match=stating("no stack", "warehouse")):
        bring_in(stacks("prod"), [Risk("r", "warehouse", bucket, "force_destroy", True, "c")])
    with pytest.raises(ProofError, match=r"nothing at google_storage_bucket\.gone force_destroy"):
        bring_in(stacks("prod"), [Risk("r", "storage", "google_storage_bucket.gone", "force_destroy", True, "c")])
    with pytest.raises(ProofError, match="is so already"):
        bring_in(stacks("prod"), [Risk("r", "storage", bucket, "force_destroy", False, "c")])


def test_a_risk_is_brought_into_a_copy(stacks: Stacks) -> None:
    before = str(stacks("prod"))
    bring_in(stacks("prod"), RISKS)
    assert str(stacks("prod")) == before


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_every_policy_says_what_it_demands(policy: Policy) -> None:
    assert policy.demands
    assert policy.types
