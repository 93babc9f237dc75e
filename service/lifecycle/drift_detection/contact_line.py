"""Keeps the served model's contact rule up to date with recent leads, and with the share that the source explores."""

from datetime import datetime

from service.lifecycle.evaluation.quality import Scores
from service.lifecycle.runtime.runner import Loop
from service.model.bundle import Bundle
from service.model.contact_rule import rule_of, with_share
from service.model.stored_rule import RULES, replace_rule, rule_to_replace
from service.rhythm import LOOP
from service.storage import Conflict


def refresh_rule(loop: Loop, served: Bundle, scores: Scores, since: datetime) -> None:
    """Store the served model's contact rule for leads that score like these, with the source's share of exploration.

    From LOOP.drift_leads scores on the line follows them; with fewer it stays, and the share alone is renewed. A bundle
    older than contact rules starts from its threshold. A malformed rule is replaced. A rule that rests on leads later
    than `loop.now` stays: a check of an earlier day knows less. Raises StorageError.
    """
    manifest, version = served.manifest, served.version
    old, generation = rule_to_replace(loop.models, version)
    if old and old.until and old.until > loop.now:
        loop.note(
            f"the contact rule stays: it is of leads scored until {old.until:%Y-%m-%d %H:%M} UTC, after this check's "
            f"time. To compute it anew, delete {loop.models.url}/{RULES}{version}.json"
        )
        return
    before = old or manifest.rule
    capacity, share = manifest.economics.contacts_per_1000_leads, loop.source.exploration.share
    if len(scores) >= LOOP.drift_leads:
        rule = rule_of(scores, manifest.threshold, capacity, share, "recent", since, loop.now)
    else:
        rule = with_share(before, scores, capacity, share)
        loop.note(f"{len(scores):,} leads are fewer than {LOOP.drift_leads}: too few to move the line of contacts")
    if rule == before and (old or not generation):
        loop.note("the contact rule stays as it is")
        return
    try:
        replace_rule(loop.models, version, rule, generation)
    except Conflict:
        loop.note("another run has refreshed the contact rule meanwhile; that one stays")
        return
    loop.note(
        f"a lead that comes alone is contacted from score {rule.line:.4f} on; it was {before.line:.4f}. "
        f"{rule.explore_probability:.2%} of those below are explored; it was {before.explore_probability:.2%}"
    )
