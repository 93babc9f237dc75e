import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


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
    env = {"PATH": str(tmp_path), "HOME": str(tmp_path), "CDKTF_OUTDIR": str(tmp_path / "out")}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert int(done.stdout) < 100  # of 1,470
    built = {path.name for path in (tmp_path / "out" / "stacks").iterdir()}
    assert built >= {"dev-alerting", "dev-foundation", "dev-network", "dev-storage"}
