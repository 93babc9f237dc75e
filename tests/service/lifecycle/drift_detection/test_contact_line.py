"""The stored contact rule follows recent leads and the source's share of exploration, and only `drift` writes it."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from service.lifecycle.data.source import load_source
from service.lifecycle.drift_detection.contact_line import refresh_rule
from service.lifecycle.runtime.runner import Loop
from service.model import bundle
from service.model.bundle import Bundle, Economics
from service.model.contact_rule import ContactRule
from service.model.stored_rule import RULES, StoredRule, read_rule
from service.storage import Storage
from tests.service import forge
from tests.service.lifecycle.records import NOON
from tests.service.lifecycle.world import World, days

FEW, MANY = np.linspace(0, 1, 101), np.linspace(0, 1, 1_001)
MONEY = Economics(conversion_value=100, contact_cost=10, contacts_per_1000_leads=200)


@dataclass
class Refreshed:
    """A served bundle, and what is said while its rule is refreshed."""

    world: World
    served: Bundle
    notes: list[str] = field(default_factory=list)

    def by(self, scores: np.ndarray, share: float = 0.0, now: float = 0.0) -> StoredRule:
        """The stored rule after leads with these scores, so many days from NOON."""
        self.world.explore(share)
        source, world, time = load_source(self.world.source), self.world, NOON + days(now)
        loop = Loop(source, world.models, world.predictions, world.leads, "", time, print, self.notes.append)
        refresh_rule(loop, self.served, scores, time - days(7))
        return read_rule(world.models, self.served.version)

    def write(self, text: str) -> None:
        """Have the rule's object hold this text."""
        models: Storage = self.world.models
        key = f"{RULES}{self.served.version}.json"
        stored = models.read(key)
        models.swap(key, text.encode(), stored and stored.generation)


@pytest.fixture
def refreshed(tmp_path: Path) -> Refreshed:
    """One of a bundle that is older than contact rules."""
    world = World(tmp_path)
    return Refreshed(world, bundle.load(world.models, forge.release(world.models, economics=MONEY)))


def test_a_bundle_older_than_rules_follows_recent_leads_and_explores(refreshed: Refreshed) -> None:
    rule, _ = refreshed.by(MANY, share=0.1)
    assert rule
    assert (rule.basis, rule.leads, rule.until) == ("recent", 1_001, NOON)
    assert rule.line == pytest.approx(0.82, abs=0.002)  # a fifth fits, of which a tenth explores
    assert rule.explore_probability == pytest.approx(0.02 / 0.82, abs=1e-4)


def test_few_leads_start_and_stop_exploration_and_leave_the_line(refreshed: Refreshed) -> None:
    rule, _ = refreshed.by(FEW, share=0.1)
    assert rule
    assert (rule.line, rule.share_above) == (0.4, None)
    assert rule.explore_probability == pytest.approx(0.02 / (1 - np.mean(FEW >= 0.4)))
    before, _ = refreshed.by(MANY, share=0.1)
    assert before
    stopped, _ = refreshed.by(FEW, share=0.0)
    assert stopped == before.model_copy(update={"explore_probability": 0.0})
    none, _ = refreshed.by(np.empty(0), share=0.2)
    assert none
    assert none.explore_probability == pytest.approx(2 * before.explore_probability, rel=0.15)


def test_it_is_said_where_nothing_changes(refreshed: Refreshed) -> None:
    assert refreshed.by(FEW) == (None, None)
    assert "stays as it is" in refreshed.notes[-1]
    first = refreshed.by(MANY)
    assert refreshed.by(MANY) == first
    assert "stays as it is" in refreshed.notes[-1]


def test_a_check_of_an_earlier_day_leaves_a_later_rule(refreshed: Refreshed) -> None:
    first = refreshed.by(MANY)
    assert refreshed.by(MANY / 2, now=-30) == first
    assert "the contact rule stays" in refreshed.notes[-1]
    after, _ = refreshed.by(MANY / 2, now=1)
    assert after
    assert after.line < 0.5


@pytest.mark.parametrize("malformed", ["no JSON", '{"line": 2}', '{"line": 0.5, "until": "2020-01-01T00:00:00"}'])
def test_a_malformed_rule_is_replaced(refreshed: Refreshed, malformed: str) -> None:
    refreshed.write(malformed)
    rule, _ = refreshed.by(FEW)
    assert rule == ContactRule(line=0.4)
    refreshed.write(malformed)
    rule, _ = refreshed.by(MANY)
    assert rule
    assert rule.basis == "recent"
