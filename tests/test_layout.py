"""The rules that keep the project's parts apart, and its files fit to publish."""

import ast
import json
import re
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import HANG_S

ROOT = Path(__file__).parent.parent
TRACKED = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
TOP = {"infra", "service", "monitoring", "mlflow-server", "scripts", "tests", "lock"}
TOP_FILES = {
    "cdktf.json",
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "SECURITY.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
}
SCRIPTS = sorted(p for p in (ROOT / "scripts").iterdir() if p.is_file() and p.suffix != ".md")

# All parts of the project.
OURS = {
    *(f"infra.{Path(path).parts[1].removesuffix('.py')}" for path in TRACKED if re.match(r"infra/\w+(\.py$|/)", path)),
    "monitoring",
    "service",
}
# package -> what it may not import. `service` stands for all its parts but the ones named on their own.
FORBIDDEN = {
    "infra": {"service.api", "service.lifecycle", "service.local", "service.model"},
    # It rehearses anybody's Terraform: of the project it knows the protocol, the schemas and which CDK is installed.
    "infra/rehearsal": OURS - {"infra.cdk", "infra.rehearsal"},
    "monitoring": {"infra", "service", "cdktf"},
    "service": {"infra", "monitoring", "cdktf"},
    "service/api": {"service.lifecycle", "sklearn", "pandas", "mlflow", "pyarrow", "onnx", "matplotlib", "rich"},
    "service/lifecycle": {"service.api", "service.local"},
    "service/model": {"service.api", "service.lifecycle", "sklearn", "pandas", "mlflow", "onnx"},
}
# Lowest first: what stands in a line may import from its own part and from the lines above.
LAYERS = {
    "infra": """
        cdk sizing
        environment
        bindings environments releases
        example_values
        components
        stacks
        main
        rehearsal
        synthesize
        timeline
        coverage kubernetes permissions review
        policies
        operations""",
    "monitoring": """
        alerts google platform
        limits promql
        slos
        budgets
        catalogue
        prometheus
        simulation
        dashboards proof
        review""",
    "service/lifecycle": """
        relations
        data
        scoring
        runtime
        evaluation forgetting
        training
        drift_detection inspection promotion
        compaction querying reporting
        train check evaluate drift retrain promote batch heartbeat probe forget compact report
        backtest rollback score query""",
}
# Public classes of one name, and why.
SAME_NAME: dict[str, str] = {}
MAX_LINES, MAX_DEPTH = 60, 4
LONG = {  # Functions of more lines, and why.
    "infra/stacks/cluster.py: __init__": "most of it are the arguments of one resource",
    "infra/stacks/tracking.py: __init__": "most of it are the arguments of one resource",
}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.Match)


class Module(NamedTuple):
    """A module of the product: what it imports of the product and the tests, and its public classes."""

    imports: set[str]
    classes: set[str]


def imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def module_name(path: str) -> str:
    return path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")


NAMES = {module_name(path): path for path in TRACKED if path.endswith(".py")}


@cache
def product() -> dict[str, Module]:
    """All modules of the product. Imports inside functions count: they would hide a circle from Python alone."""
    modules = {}
    for name, path in NAMES.items():
        if name.split(".")[0] in {"infra", "monitoring", "service"}:
            tree = ast.parse((ROOT / path).read_text())
            classes = {node.name for node in tree.body if isinstance(node, ast.ClassDef) and node.name[0] != "_"}
            named = {found for found in imports(ROOT / path) if found in NAMES} - {name}
            # `from package import module` names both; it needs of the package only that it is one.
            packages = {found for found in named if any(other.startswith(f"{found}.") for other in named)}
            modules[name] = Module(named - packages, classes)
    return modules


def circle(graph: Mapping[str, set[str]]) -> list[str]:
    """One circle of imports, or nothing."""
    done: set[str] = set()

    def search(name: str, path: list[str]) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return []
        for other in sorted(graph.get(name, ())):
            if other in graph and (found := search(other, [*path, name])):
                return found
        done.add(name)
        return []

    return next((found for name in sorted(graph) if (found := search(name, []))), [])


def part(root: str, name: str) -> str:
    """The part of a package that a module belongs to: infra.stacks.edge -> stacks."""
    prefix = root.replace("/", ".") + "."
    return name.removeprefix(prefix).split(".")[0] if name.startswith(prefix) else ""


def upwards(root: str, graph: Mapping[str, set[str]]) -> list[str]:
    """Imports from a lower layer to a higher one, and between parts of one layer."""
    level = {name: number for number, line in enumerate(LAYERS[root].strip().splitlines()) for name in line.split()}
    return [
        f"{name} imports {other}"
        for name, others in graph.items()
        if (mine := part(root, name))
        for other in others
        if (theirs := part(root, other)) and theirs != mine and level[theirs] >= level[mine]
    ]


@pytest.mark.parametrize("package", FORBIDDEN)
def test_no_package_imports_what_it_may_not_know(package: str) -> None:
    wrong = [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in (ROOT / package).rglob("*.py")
        for name in imports(file)
        for forbidden in FORBIDDEN[package]
        if name == forbidden or name.startswith(f"{forbidden}.")
    ]
    assert wrong == []


def test_imports_form_no_circle() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}}) == ["a", "b", "c", "a"]
    assert circle({name: module.imports for name, module in product().items()}) == []


@pytest.mark.parametrize("root", LAYERS)
def test_imports_point_downwards(root: str) -> None:
    highest = LAYERS[root].split()[-1]
    lowest = LAYERS[root].split()[0]
    package = root.replace("/", ".")
    assert upwards(root, {f"{package}.{lowest}": {f"{package}.{highest}"}}) != []
    assert upwards(root, {name: module.imports for name, module in product().items()}) == []


def test_the_product_imports_nothing_from_its_tests() -> None:
    wrong = [(name, other) for name, module in product().items() for other in module.imports if other[:5] == "tests"]
    assert wrong == []


def test_no_folder_holds_more_than_24_modules() -> None:
    folders = Counter(str(Path(path).parent) for path in NAMES.values())
    assert {folder: count for folder, count in folders.items() if count > 24} == {}


def depth(node: ast.AST, inside: int = 0) -> int:
    """How many blocks the innermost statement is in; an `elif` is no block within its `if`."""
    depths = [inside]
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, FUNCTIONS):
            is_elif = isinstance(node, ast.If) and node.orelse == [child]
            depths.append(depth(child, inside + (isinstance(child, BLOCKS) and not is_elif)))
    return max(depths)


def unsplit(tree: ast.AST) -> Iterator[str]:
    """The functions that are longer or nested deeper than the limits."""
    for node in ast.walk(tree):
        if isinstance(node, FUNCTIONS):
            lines = (node.end_lineno or 0) - node.lineno + 1
            if lines > MAX_LINES or depth(node) > MAX_DEPTH:
                yield node.name


def test_functions_are_short_and_flat() -> None:
    assert [*unsplit(ast.parse("def long():\n" + "    x = 1\n" * 60))] == ["long"]
    assert [*unsplit(ast.parse("def short():\n" + "    x = 1\n" * 59))] == []
    nested = "def deep(x):\n" + "".join("    " * level + "if x:\n" for level in range(1, 6)) + "    " * 6 + "return x\n"
    assert [*unsplit(ast.parse(nested))] == ["deep"]
    branches = "def flat(x):\n    if x == 0:\n        return x\n" + "    elif x:\n        return x\n" * 5
    assert [*unsplit(ast.parse(branches))] == []
    found = {f"{path}: {name}" for path in NAMES.values() for name in unsplit(ast.parse((ROOT / path).read_text()))}
    assert found == LONG.keys()


def test_no_two_public_classes_have_one_name() -> None:
    classes = Counter(name for module in product().values() for name in module.classes)
    assert {name for name, count in classes.items() if count > 1} == SAME_NAME.keys()


@pytest.mark.parametrize("module", ["cdktf", "constructs", "cdktf_cdktf_provider_google"])
def test_only_the_bindings_name_cdktf(module: str) -> None:
    named = {
        str(file.relative_to(ROOT))
        for file in (ROOT / "infra").rglob("*.py")
        for name in imports(file)
        if name.split(".")[0].startswith(module)
    }
    assert named <= {"infra/bindings.py"}


def is_duration(node: ast.AST) -> bool:
    """Whether it subtracts from a clock's reading: `time.monotonic() - began`."""
    return (
        isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.Sub)
        and isinstance(node.left, ast.Call)
        and ast.unparse(node.left.func) in {"time.monotonic", "time.perf_counter", "time.process_time", "time.time"}
    )


def judged_durations(source: str) -> list[int]:
    """Lines of asserts on a duration, or on a variable that holds one."""
    nodes = list(ast.walk(ast.parse(source)))
    names = {
        target.id
        for node in nodes
        if isinstance(node, ast.Assign) and is_duration(node.value)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    return [
        node.lineno
        for node in nodes
        if isinstance(node, ast.Assert)
        for part in ast.walk(node.test)
        if is_duration(part) or (isinstance(part, ast.Name) and part.id in names)
    ]


def test_no_test_judges_how_long_something_took() -> None:
    """A deadline that only ends a hang is compared with the clock itself: `time.monotonic() < deadline`."""
    assert judged_durations("assert time.monotonic() - began < 5") == [1]
    assert judged_durations("took = time.perf_counter() - began\nassert 1 < took < 5") == [2]
    assert judged_durations("deadline = time.monotonic() + 600\nassert time.monotonic() < deadline") == []
    tests = sorted((ROOT / "tests").rglob("*.py"))
    assert [f"{file}:{line}" for file in tests for line in judged_durations(file.read_text())] == []


def test_every_legend_has_a_place() -> None:
    """Matplotlib looks for the best one among all points, and warns where that takes a second: on a busy machine."""
    wrong = [
        f"{path}:{node.lineno}"
        for path in NAMES.values()
        for node in ast.walk(ast.parse((ROOT / path).read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "legend"
        and ast.unparse(node.func.value) != "pictures"  # a function of our own
        and not any(keyword.arg == "loc" and ast.unparse(keyword.value) != "'best'" for keyword in node.keywords)
    ]
    assert wrong == []


def test_the_top_level_is_fixed() -> None:
    folders = {path.split("/")[0] for path in TRACKED if "/" in path}
    files = {path for path in TRACKED if "/" not in path}
    assert {f for f in folders if not f.startswith(".")} <= TOP
    assert {f for f in files if not f.startswith(".")} <= TOP_FILES


def test_locks_carry_hashes_and_no_addresses() -> None:
    for file in (ROOT / "lock").glob("*.txt"):
        text = file.read_text()
        assert not re.search(r"https?://|file:|--index-url|--find-links", text), file
        for requirement in re.split(r"\n(?=[a-zA-Z0-9])", re.sub(r"^ *#.*\n", "", text, flags=re.M)):
            assert "--hash=sha256:" in requirement, f"{file}: {requirement[:60]}"


def test_the_lock_of_npm_carries_hashes_and_no_addresses() -> None:
    packages = json.loads((ROOT / "lock/cdktf/package-lock.json").read_text())["packages"]
    assert {name for name, package in packages.items() if "resolved" in package} == set()
    # What comes within another package has that one's hash.
    assert {
        name for name, package in packages.items() if "integrity" not in package and not package.get("inBundle")
    } == {""}


def test_what_ships_is_what_is_tested() -> None:
    def pins(group: str) -> set[str]:
        return set(re.findall(r"^\S+==\S+", (ROOT / f"lock/{group}.txt").read_text(), re.M))

    assert pins("serving") < pins("jobs") < pins("dev")


def test_the_serving_lock_leaves_training_out() -> None:
    text = (ROOT / "lock/serving.txt").read_text()
    for name in ("scikit-learn", "pandas", "mlflow", "pyarrow", "onnx", "matplotlib"):
        assert f"\n{name}==" not in text


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.name)
def test_every_script_explains_itself_with_examples(script: Path) -> None:
    shown = subprocess.run([script, "--help"], capture_output=True, text=True, timeout=HANG_S, check=False)
    assert shown.returncode == 0
    assert f"scripts/{script.name}" in shown.stdout


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.name)
def test_every_script_exits_with_2_on_wrong_use(script: Path) -> None:
    # scripts/test passes on to pytest what it does not know
    command = [script, "--install" if script.name == "test" else "--no-such-option"]
    assert subprocess.run(command, capture_output=True, timeout=HANG_S, check=False).returncode == 2
