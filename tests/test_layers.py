"""The table of layers in docs/architecture.md, held against the imports of the package, the benchmarks and examples."""

from __future__ import annotations

import ast
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "architecture.md"
TREES = ("adasgn_edge", "bench", "examples")
COMPILED = {"adasgn_edge._native": "csrc/python/"}
"""Modules that no Python file of their own name defines, and what the table calls them."""


@dataclass(frozen=True)
class Import:
    """One module imports another; both by their path from the root. typed: for type checkers alone."""

    source: str
    line: int
    target: str
    typed: bool


# -- the page -----------------------------------------------------------------------------------------------------


def expanded(pattern: str) -> list[str]:
    """``a/{b,c}.py`` is a/b.py and a/c.py."""
    if not (braces := re.search(r"\{([^}]*)\}", pattern)):
        return [pattern]
    return [pattern[: braces.start()] + word + pattern[braces.end() :] for word in braces[1].split(",")]


def of_the_tree(pattern: str) -> str:
    """A pattern of the page from the root of the tree; the page leaves out the package's folder."""
    whole = pattern.startswith(("adasgn_edge/", "bench/", "examples/", "csrc/", "kernels/"))
    return pattern if whole else f"adasgn_edge/{pattern}"


def read_table(page: str) -> list[tuple[str, int]]:
    """Every pattern of files in the table, with its layer, in the table's order."""
    rows = re.findall(r"^\| (\d) \| ([^|]*) \|", page, re.MULTILINE)
    return [
        (of_the_tree(pattern), int(layer))
        for layer, files in rows
        for quoted in re.findall(r"`([^`]+)`", files)
        for pattern in expanded(quoted)
    ]


def read_exceptions(page: str) -> set[tuple[str, str]]:
    """Pairs (from, to) of the list under the heading "Exceptions", lines such as "- `a.py` → `b.py`, `c.py`: why"."""
    part = re.search(r"^## Exceptions\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    pairs = set()
    for source, targets in re.findall(r"^- `([^`]+)` → ((?:`[^`]+`(?:, )?)+)", part[1] if part else "", re.MULTILINE):
        pairs |= {(of_the_tree(source), of_the_tree(target)) for target in re.findall(r"`([^`]+)`", targets)}
    return pairs


def covers(pattern: str, path: str) -> bool:
    return path.startswith(pattern) if pattern.endswith("/") else fnmatchcase(path, pattern)


def layer_of(path: str, table: list[tuple[str, int]]) -> int | None:
    """By the pattern that says most: a file's own name, or else the longest."""
    fitting = [(pattern == path, len(pattern), layer) for pattern, layer in table if covers(pattern, path)]
    return max(fitting)[2] if fitting else None


# -- the code -----------------------------------------------------------------------------------------------------


def modules(root: Path) -> dict[str, str]:
    """Dotted name → path from the root, of every Python file of the trees."""
    found = {}
    for tree in TREES:
        for file in sorted((root / tree).rglob("*.py")):
            path = file.relative_to(root)
            parts = path.parent.parts if path.name == "__init__.py" else path.with_suffix("").parts
            found[".".join(parts)] = path.as_posix()
    return found


def is_empty(root: Path, path: str) -> bool:
    """Whether a module has nothing but its docstring."""
    body = ast.parse((root / path).read_text()).body
    return all(isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in body)


def statements(tree: ast.AST, typed: bool = False) -> Iterator[tuple[ast.AST, bool]]:
    """Every statement, and whether it stands below ``if TYPE_CHECKING``."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.expr):
            continue
        yield node, typed
        below = isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        yield from statements(node, typed or below)


def imports(root: Path) -> Iterator[Import]:
    """Imports of one module by another, those inside functions too."""
    names = modules(root)
    paths = names | COMPILED
    for name, path in names.items():
        package = name if path.endswith("__init__.py") else name.rpartition(".")[0]
        for node, typed in statements(ast.parse((root / path).read_text())):
            if isinstance(node, ast.Import):
                targets = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
                base = ".".join([*above, *([node.module] if node.module else [])])
                targets = [full if (full := f"{base}.{alias.name}") in paths else base for alias in node.names]
            else:
                continue
            for target in dict.fromkeys(targets):
                if target in paths and target != name:
                    yield Import(path, node.lineno, paths[target], typed)


# -- what must hold -----------------------------------------------------------------------------------------------


def unlisted(root: Path, page: str) -> list[str]:
    """Modules that the table lacks."""
    table = read_table(page)
    return [path for path in modules(root).values() if layer_of(path, table) is None and not is_empty(root, path)]


def upward(root: Path, page: str) -> list[str]:
    """Imports of a later layer that the page does not except."""
    table, exceptions = read_table(page), read_exceptions(page)
    found = []
    for one in imports(root):
        below, above = layer_of(one.target, table), layer_of(one.source, table)
        if below is None or above is None or (one.source, one.target) in exceptions:
            continue
        if below > above:
            found.append(f"{one.source}:{one.line} (layer {above}) imports {one.target} (layer {below})")
    return found


def test_every_module_is_in_the_table():
    assert unlisted(ROOT, PAGE.read_text()) == []


def test_the_table_names_nothing_twice_and_nothing_that_is_not_there():
    patterns = [pattern for pattern, _ in read_table(PAGE.read_text())]
    assert len(patterns) > 100
    assert sorted({pattern for pattern in patterns if patterns.count(pattern) > 1}) == []
    assert [pattern for pattern in patterns if not any(ROOT.glob(pattern.rstrip("/")))] == []


def test_no_module_imports_a_later_layer():
    assert upward(ROOT, PAGE.read_text()) == []


def test_every_exception_is_needed():
    page = PAGE.read_text()
    table = read_table(page)
    needed = {
        (one.source, one.target)
        for one in imports(ROOT)
        if (layer_of(one.source, table) or 0) < (layer_of(one.target, table) or 0)
    }
    assert read_exceptions(page) - needed == set()


def test_no_circles_within_the_package():
    """What imports run, functions' own included. The package's own ``__init__`` loads names on demand, and is excepted
    on the page."""
    excepted = read_exceptions(PAGE.read_text())
    graph: dict[str, set[str]] = {}
    for one in imports(ROOT):
        if one.source.startswith("adasgn_edge/") and not one.typed and (one.source, one.target) not in excepted:
            graph.setdefault(one.source, set()).add(one.target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" → ".join(error.args[1]))


@pytest.fixture
def copied_tree(tmp_path):
    """The Python files of the tree, to plant something in."""
    for path in modules(ROOT).values():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, tmp_path / path)
    return tmp_path


@pytest.mark.parametrize(
    "planted",
    [
        "from adasgn_edge.cli.device import DeviceOption\n",
        "import adasgn_edge.engine\n",
        "from ..deploy import export\n",
        "def later():\n    from adasgn_edge import recogniser, _native\n",
        "if TYPE_CHECKING:\n    from bench import models\n",
    ],
)
def test_a_planted_upward_import_is_found(copied_tree, planted):
    path = "adasgn_edge/data/streams.py"
    with (copied_tree / path).open("a") as file:
        file.write(planted)
    found = upward(copied_tree, PAGE.read_text())
    assert len(found) == planted.count(",") + 1
    assert all(line.startswith(f"{path}:") and "(layer 2) imports" in line for line in found)


def test_a_planted_module_is_missed(copied_tree):
    (copied_tree / "adasgn_edge" / "anything.py").write_text("value = 1\n")
    assert unlisted(copied_tree, PAGE.read_text()) == ["adasgn_edge/anything.py"]


def test_what_modules_take_from_each_other_is_in_all() -> None:
    """A name without a leading underscore that another module imports is in ``__all__``, where its module has one."""
    absent = []
    for module in sorted(path for tree in TREES for path in (ROOT / tree).rglob("*.py")):
        for node in ast.walk(ast.parse(module.read_text())):
            if not isinstance(node, ast.ImportFrom) or node.level or node.module is None:
                continue
            source = ROOT.joinpath(*node.module.split(".")).with_suffix(".py")
            names = public_names(source) if source.is_file() else None
            if names is not None:
                taken = {alias.name for alias in node.names if not alias.name.startswith("_")}
                absent += [f"{source.relative_to(ROOT)}: {name}" for name in taken - names]
    assert not sorted(set(absent))


def public_names(module: Path) -> set[str] | None:
    """Its ``__all__``, if it has one."""
    for node in ast.parse(module.read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__all__":
            return set(ast.literal_eval(node.value))
    return None
