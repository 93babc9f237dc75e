"""The documents keep what they promise: commands are run by a test, and paths, links and anchors lead somewhere."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitoring import catalogue
from monitoring.alerts import Severity

ROOT = Path(__file__).parent.parent


def documents() -> Iterator[Path]:
    """Every README.md of the repository, and other documents that people read."""
    for folder, folders, files in os.walk(ROOT):
        # Environments, what scripts/up keeps, and other files that are not ours.
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "node_modules")
        if "README.md" in files:
            yield Path(folder) / "README.md"
    yield from (ROOT / name for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "infra/google-cloud.md"))


DOCUMENTS = {str(file.relative_to(ROOT)): file.read_text() for file in documents()}
CANDIDATES = DOCUMENTS["service/lifecycle/README.md"]  # has the table of the candidates' metrics
COMMANDS = [
    line.split("  #")[0].strip()
    for text in DOCUMENTS.values()
    for block in re.findall(r"```sh\n(.*?)```", text, re.S)
    for line in block.splitlines()
    if line.strip()
]
FIGURES = "scripts/train --source service/examples/bank_marketing.toml --figures"
RUN_HERE = {
    ".venv/bin/python -m monitoring.prometheus",
    "cp service/examples/crm_template.toml my_leads.toml",
    ".venv/bin/python -m infra.rehearsal tests/infra/rehearsal/examples/landing --var project=some-project",
    ".venv/bin/python -m infra.rehearsal tests/infra/rehearsal/examples/shop",
}
RUN_ELSEWHERE = {
    "scripts/up": "service/local/test_up.py::test_leads_are_trained_on_recorded_published_served_and_scored",
    "scripts/check leads.csv": "service/lifecycle/test_check.py"
    "::test_a_file_is_described_and_its_lead_source_trains_once_confirmed",
    "scripts/check --decide leads.toml": "service/lifecycle/test_check.py"
    "::test_the_page_to_decide_on_is_printed_of_a_confirmed_source",
    "scripts/train --source leads.toml": "service/lifecycle/test_train.py"
    "::test_figures_are_shown_and_nothing_is_left_behind",
    "scripts/up --source leads.toml": "service/local/test_up.py::test_an_unusable_source_is_wrong_use",
    "scripts/check --decide my_leads.toml": "service/lifecycle/inspection/test_decision.py"
    "::test_the_page_fits_80_columns_and_names_each_metric_with_its_candidate",
    "scripts/up --source my_leads.toml": "service/local/test_up.py::test_an_unusable_source_is_wrong_use",
    "curl -s http://127.0.0.1:8080/v1/score": "service/local/test_up.py::test_the_requests_of_the_readme_are_answered",
    "curl -s http://127.0.0.1:8080/v1/model": "service/local/test_up.py::test_the_requests_of_the_readme_are_answered",
    "curl -s http://127.0.0.1:8080/metrics": "service/local/test_up.py::test_the_requests_of_the_readme_are_answered",
    "curl -s 'http://127.0.0.1:8080/v1/score/cells?explain=true'": "service/local/test_up.py"
    "::test_the_requests_of_the_readme_are_answered",
    "LEAD_EXPORTS=exports .venv/bin/python -m tests.service.api.page.same_scores": "service/api/page/"
    "test_same_scores.py::test_a_few_exports_get_the_same_scores_everywhere",
    "curl -s 'http://127.0.0.1:8080/v1/score?explain=true'": "service/local/test_up.py"
    "::test_the_requests_of_the_readme_are_answered",
    "scripts/bench explain": "benchmarks/test_explain.py::test_the_worst_cost_is_held_against_the_bar",
    "scripts/pictures --leads leads.csv": "service/api/page/test_page.py"
    "::test_the_pictures_are_of_every_view_in_light_and_dark",
    "export BANK_MARKETING_CSV=": "test_readme.py::test_the_figures_are_those_of_the_command",
    "export CRM_EXPORT=": "service/lifecycle/data/test_source.py"
    "::test_the_template_reads_the_export_in_the_folder_that_is_named",
    FIGURES: "test_readme.py::test_the_figures_are_those_of_the_command",
    "scripts/up --source service/examples/bank_marketing.toml": "service/local/test_up.py::test_real_leads_come_up_too",
    "scripts/plan dev": "infra/operations/test_plan.py::",
    "scripts/plan prod": "infra/operations/test_plan.py::",
    "scripts/plan prod --real": "infra/operations/test_real.py"
    "::test_a_real_plan_reads_the_remote_state_and_leaves_no_secret",
    "scripts/plan prod --against main": "infra/review/test_command.py"
    "::test_a_change_that_would_replace_buckets_is_refused_and_each_is_named",
    "scripts/plan prod --against main --sheet": "infra/review/test_sheet.py"
    "::test_what_is_added_changed_replaced_and_destroyed_is_counted_by_stack",
    ".venv/bin/python -m monitoring.proof": "monitoring/test_proof.py::test_alerts_behave_as_all_cases_say",
    ".venv/bin/python -m monitoring.proof --mutants": (
        "monitoring/test_proof.py::test_cases_that_do_not_notice_a_slip_miss_the_bar"
    ),
    ".venv/bin/python -m monitoring.simulation": (
        "monitoring/test_simulation.py::test_all_bars_are_kept_at_every_volume"
    ),
    ".venv/bin/python -m monitoring.simulation --storms": (
        "monitoring/test_storms.py::test_one_cause_pages_at_most_twice_and_in_time"
    ),
    "scripts/drill": "drill/test_main.py::test_every_fault_pages_and_ends_once_it_is_mended",
    "scripts/bench image": "benchmarks/test_image.py::test_a_missed_bar_is_an_exit_status",
    "scripts/bootstrap dev --dry-run": "infra/operations/test_bootstrap.py"
    "::test_a_dry_run_says_everything_and_asks_nobody",
    "scripts/bootstrap dev --owner": "infra/operations/test_owner.py::test_bootstrap_prints_them",
    "scripts/plan prod && scripts/env policy && .venv/bin/python -m infra.policies prod": "infra/policies/test_check.py"
    "::test_the_command_counts_what_ran_and_its_exit_status_says_what_came_of_it",
    ".venv/bin/python -m infra.policies.proof": "infra/policies/test_proof.py"
    "::test_every_risk_that_is_brought_into_our_stacks_is_refused",
    "scripts/bench synth": "benchmarks/test_synth.py::test_both_forms_are_really_run_and_their_memory_seen",
    "scripts/pin-actions --check": "infra/test_workflows.py"
    "::test_a_pin_that_is_not_what_its_tag_is_fails_and_is_put_right",
    "scripts/up --with-loop --speed 1440": "service/local/test_up.py::test_the_loop_closes_before_a_newcomer_s_eyes",
    "scripts/score leads.csv --out scores.csv": "service/lifecycle/test_score.py"
    "::test_scores_stand_in_the_order_of_the_file",
    "scripts/query": "service/lifecycle/test_query.py::test_every_example_answers",
    "scripts/replay --source service/examples/bank_marketing.toml": "service/lifecycle/backtest/test_main.py"
    "::test_on_the_banks_contacts_every_bar_is_met",
    "scripts/bench drift": "benchmarks/test_drift.py::test_a_drift_too_weak_to_cost_anything_misses_the_bars",
    ".venv/bin/python -m tests.benchmarks.loop.calibration": "benchmarks/loop/test_loop.py"
    "::test_the_sum_of_distances_is_found_out",
    ".venv/bin/python -m tests.benchmarks.loop.noise": "benchmarks/loop/test_loop.py"
    "::test_a_wrong_allowance_for_luck_is_found_out",
    ".venv/bin/python -m tests.benchmarks.loop.label_free": "benchmarks/loop/test_loop.py"
    "::test_a_reference_from_leads_that_the_model_was_fitted_on_is_found_out",
    "scripts/bench loop": "benchmarks/loop/test_worlds.py::test_a_window_that_nobody_explored_is_the_exit_status",
    "scripts/bench gate": "benchmarks/test_gate.py::test_the_bar_is_missed_on_too_few_leads",
    "scripts/bench serve": "benchmarks/serving/test_serve.py::test_a_small_run_asks_ours_another_commit_and_the_floors",
    "scripts/bench overload": "benchmarks/serving/test_overload.py::test_a_small_run_answers_or_refuses_every_request",
    "scripts/bench start": "benchmarks/serving/test_start.py::test_a_start_is_timed_to_a_score_and_its_memory_seen",
    "scripts/soak": "soak/test_soak.py::test_half_a_minute_of_load_with_swaps_and_kills_loses_nothing",
    "scripts/fuzz": "soak/test_fuzz.py::test_generated_requests_meet_no_5xx_and_only_described_answers",
    "scripts/bench bucket": "benchmarks/test_bucket.py::test_a_small_run_scores_every_form_from_folder_and_bucket",
    "scripts/bench parts": "benchmarks/test_parts.py::test_rows_that_are_missing_doubled_or_another_s_are_found",
    "scripts/bench scale": "benchmarks/scale/test_figures.py::test_a_missed_limit_is_an_exit_status",
    "scripts/bench batch": "benchmarks/test_batch.py::test_a_small_run_measures_all_forms_and_finds_the_same_scores",
    ".venv/bin/python -m infra.coverage prod": "infra/test_coverage.py::test_no_cell_of_an_environment_is_open",
    ".venv/bin/python -m infra.operations.permissions prod": "infra/operations/test_permissions.py"
    "::test_the_command_shows_every_identity_the_widest_grants_and_what_is_unknown",
    ".venv/bin/python -m infra.kubernetes": "infra/kubernetes/test_rules.py::test_the_command_says_what_it_judged",
    ".venv/bin/python -m infra.rehearsal.rules_from_source ../provider google_pubsub_topic": (
        "infra/rehearsal/rules_from_source/test_table.py::test_the_command_adds_a_type_to_those_that_the_table_has"
    ),
    "scripts/deploy dev --dry-run": "infra/operations/test_deploy.py"
    "::test_a_dry_run_prints_every_command_of_a_deploy_in_order_and_runs_none",
    "scripts/deploy dev --build": "infra/operations/test_deploy.py"
    "::test_between_two_releases_the_schema_is_migrated_after_a_backup_and_only_for_a_new_mlflow",
    "scripts/deploy dev": "infra/operations/test_deploy.py"
    "::test_a_first_deploy_builds_scans_and_pushes_migrates_waits_and_asks_for_a_score",
    "scripts/alerts": "monitoring/review/test_review.py::test_the_table_names_every_alert",
    "scripts/alerts --page": "monitoring/review/test_review.py::test_the_table_names_every_alert",
    "scripts/alerts show SpoolFillsUp": "monitoring/review/test_review.py::test_an_alert_is_explained_and_drawn",
    "scripts/alerts env prod": "infra/operations/test_variables.py"
    "::test_every_environment_has_all_variables_each_a_word_of_the_shell",
    "scripts/alerts diff main --markdown": "monitoring/review/test_diff.py::test_the_sheet_has_a_row_for_each_change",
    'scripts/alerts try "401 100% 6h"': (
        "monitoring/review/test_tried.py::test_refused_callers_page_in_time_and_what_stays_silent_is_named"
    ),
    "scripts/alerts budget prod": (
        "monitoring/review/test_budget.py::test_what_a_promise_allows_is_shown_at_the_declared_traffic"
    ),
    "scripts/alerts check prod": (
        "monitoring/review/test_checked.py::test_where_every_series_is_there_nothing_is_missing"
    ),
    ".venv/bin/python -m monitoring.dashboards": "monitoring/dashboards/test_pictures.py::test_a_dashboard_is_drawn",
    "docker build": "containers/test_scoring_image.py::",
    "docker run": "containers/test_mlflow_image.py"
    "::test_it_migrates_serves_keeps_a_run_and_an_artifact_and_ends_cleanly",
    "pg_dump": "mlflow_server/test_upgrade.py::test_a_backup_is_restored_as_the_readme_says",
    "pg_restore": "mlflow_server/test_upgrade.py::test_a_backup_is_restored_as_the_readme_says",
    "scripts/cdktf dev list": "infra/test_cdktf.py::test_the_command_line_lists_synthesizes_deploys_all_stacks"
    "_and_says_why_it_destroys_none",
    "scripts/cdktf dev diff dev-foundation": "infra/test_cdktf.py"
    "::test_the_command_line_lists_synthesizes_deploys_all_stacks_and_says_why_it_destroys_none",
    "scripts/cdktf dev deploy 'dev-*'": "infra/test_cdktf.py"
    "::test_the_command_line_lists_synthesizes_deploys_all_stacks_and_says_why_it_destroys_none",
    "scripts/destroy dev": "infra/operations/test_destroy.py::test_what_holds_data_is_named_and_nothing_goes",
    ".venv/bin/python -m service.lifecycle.rollback": "service/lifecycle/test_promote.py"
    "::test_rolled_back_again_and_again_it_goes_further_back",
    ".venv/bin/python -m service.lifecycle.report": "service/lifecycle/test_report.py"
    "::test_the_report_is_written_once_a_day_from_the_history_alone",
    "scripts/install-system": "containers/test_install_system.py"
    "::test_a_bare_debian_gets_what_the_tests_need_and_starts_none_of_it",
    "scripts/env dev": "test_layout.py::test_every_script_explains_itself_with_examples",
    "scripts/lock": "test_layout.py::test_every_script_explains_itself_with_examples",
    # whoever reads this is running it
    "scripts/test tests/service": "test_layout.py::test_every_script_explains_itself_with_examples",
    "scripts/test": "test_layout.py::test_every_script_explains_itself_with_examples",
    "scripts/test --all --install": "test_layout.py::test_every_script_explains_itself_with_examples",
}


def known(command: str) -> list[str]:
    """The entries of the tables above that stand for a command."""
    return [
        entry
        for entry in (*RUN_HERE, *RUN_ELSEWHERE)
        if command == entry or command.startswith(entry if entry.endswith("=") else f"{entry} -")
    ]


def test_every_command_is_run_by_a_test() -> None:
    for command in COMMANDS:
        assert known(command), f"no test runs {command!r}"
    for place in RUN_ELSEWHERE.values():
        file, _, name = place.partition("::")
        assert f"def {name}" in (ROOT / "tests" / file).read_text(), place
    named = {entry for command in COMMANDS for entry in known(command)}
    assert {*RUN_HERE, *RUN_ELSEWHERE} - named == set(), "no document has these any more"


@pytest.mark.parametrize("command", sorted(RUN_HERE))
def test_a_command_ends_well(command: str, tmp_path: Path) -> None:
    assert command in COMMANDS
    absolute = re.sub(r"(?<![\w/])(\.venv|service/|tests/)", rf"{ROOT}/\1", command)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(["bash", "-c", absolute], cwd=tmp_path, env=environment, check=True, stdout=subprocess.DEVNULL)


FOLDERS = r"infra|service|monitoring|mlflow-server|scripts|tests|lock|\.github|\.ci"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_path_that_is_named_exists(document: str) -> None:
    for path in re.findall(rf"[`\s](?:(?:{FOLDERS})/[\w./-]*)(?=[`\s])", DOCUMENTS[document]):
        assert (ROOT / path.strip("` \n")).exists(), path


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_module_that_is_named_exists(document: str) -> None:
    for name in re.findall(r"\bpython -m ((?:infra|monitoring|service)[\w.]*)", DOCUMENTS[document]):
        place = ROOT / name.strip(".").replace(".", "/")
        if name.endswith("."):  # service.lifecycle.<job>
            assert place.is_dir(), name
        else:
            assert place.with_suffix(".py").is_file() or (place / "__main__.py").is_file(), name


def headings(text: str) -> list[str]:
    """The headings of a Markdown text."""
    return re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.S), re.M)


def anchors(text: str) -> set[str]:
    """What GitHub calls the headings of a Markdown text in links."""
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings(text)}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_and_anchor_leads_somewhere(document: str) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", DOCUMENTS[document]):
        if re.match(r"https?://", link):
            continue
        path, _, anchor = link.partition("#")
        file = ((ROOT / document).parent / path).resolve() if path else ROOT / document
        assert file.exists(), link
        if anchor:
            assert anchor in anchors(file.read_text()), link


def test_no_heading_is_there_twice() -> None:
    for document, text in DOCUMENTS.items():
        if document != "CHANGELOG.md":
            assert len(headings(text)) == len(set(headings(text))), document


def test_the_root_page_stays_one_page() -> None:
    assert 6_000 <= len(DOCUMENTS["README.md"].encode()) <= 8_192


def test_the_table_of_pages_names_every_alert_that_pages_with_its_runbook() -> None:
    section = DOCUMENTS["monitoring/README.md"].split("## What to do when a page fires")[1].split("\n### ")[0]
    rows = re.findall(r"^\| (`.+`) \| .*\(runbooks/([\w-]+\.md)\) \|$", section, re.M)
    assert {(name, runbook) for names, runbook in rows for name in re.findall(r"`(\w+)`", names)} == {
        (alert.name, alert.runbook) for alert in catalogue.alerts() if alert.severity is Severity.PAGE
    }


def test_every_script_has_its_line() -> None:
    for script in (ROOT / "scripts").iterdir():
        if script.suffix != ".md":
            assert f"`scripts/{script.name}" in DOCUMENTS["scripts/README.md"], script.name


@pytest.mark.skipif("BANK_MARKETING_CSV" not in os.environ, reason="BANK_MARKETING_CSV names no file of real leads")
@pytest.mark.slow
def test_the_figures_are_those_of_the_command() -> None:
    assert FIGURES in COMMANDS
    shown = subprocess.run(
        FIGURES.split(),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "160"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    def row(figure: str) -> list[str]:
        return next(line.split()[1:] for line in shown.splitlines() if line.split()[:1] == [figure])

    stated = {line.split(" | ")[0].strip("| "): line.strip(" |").split(" | ")[1:] for line in CANDIDATES.splitlines()}
    names = {"roc_auc": "ROC-AUC", "pr_auc": "PR-AUC", "lift": "lift, best tenth", "brier": "Brier"}
    for figure, name in names.items():
        shown_of = row(figure)  # of each candidate held out, then cross-validated
        assert [*shown_of[1::2], *shown_of[::2]] == stated[name]
    trees = [row(figure)[-1] for figure in names]
    roc_auc, pr_auc, lift, brier = map(float, trees)
    assert roc_auc >= 0.80
    assert pr_auc >= 0.47
    assert lift >= 4.5
    assert brier <= 0.077
