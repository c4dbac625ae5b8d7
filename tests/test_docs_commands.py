"""Commands and programs in README.md, CONTRIBUTING.md and docs/ hold: each is run where that takes seconds and no data,
or else parsed by what would run it. The tables below say which, and why."""

from __future__ import annotations

import ast
import contextlib
import gzip
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adasgn_edge.data.description import StreamDescription
from adasgn_edge.data.stream_frames import header_line
from adasgn_edge.hands import animate
from adasgn_edge.skeletons import load_layout

pytest.importorskip("typer")

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

RUN = {
    "adasgn-edge demo",
    "adasgn-edge doctor",
    "adasgn-edge doctor --source hand.npz",
    "adasgn-edge classify clip.csv",
    "adasgn-edge classify clip.csv other.npz",
    "adasgn-edge classify --axes ros --gravity 0.3,0,-9.8 hand.npz",
    "adasgn-edge stream",
    "adasgn-edge stream --source model --json",
    "adasgn-edge stream hand.csv --fps 60",
    "adasgn-edge stream leap.jsonl --source leap-20 --axes source --side right --fast --json --steps",
    "adasgn-edge cost --layout ntu25 --classes 60",
    "adasgn-edge convert --list",
    "adasgn-edge export weights.safetensors -o model.adasgn",
    "adasgn-edge plot tradeoff bench/results/shrec14-eval.json",
}
"""Commands that are run, beside files that are made below."""

PARSED_ONLY = {
    "train": "minutes to hours, and data",
    "eval": "data and runs",
    "eval-stream": "data",
    "calibrate": "runs on folds",
    "plot": "runs",
    "convert": "data",
    "export": "runs",
    "stream": "cameras, files that others make, or as long as a recording",
    "classify": "the same with other files and options",
    "doctor": "the same with other files",
    "demo": "the same with another model",
    "record": "a sensor",
    "replay": "clips that others make",
    "bench": "minutes",
    "tensorrt": "TensorRT and a GPU",
}
"""Of all other commands of adasgn-edge: what keeps them from being run here. Their arguments and options are parsed."""

OTHERS = {
    "pip": "installs",
    "cmake": "builds",
    "ctest": "builds",
    "sudo": "installs",
    "python3": "of a system that is set up",
    ".": "of a system that is set up",
    "source": "of a system that is set up",
    "cd": "of a system that is set up",
    "ln": "of a system that is set up",
    "rosdep": "needs ROS 2",
    "colcon": "needs ROS 2",
    "ros2": "needs ROS 2",
    ".ci/run": "is what runs this",
    "gunzip": "done below",
    "robot_loop": "C++; tests/examples runs it",
    "build/gestures": "C++; compiled below",
    "my-tracker": "stands for a program of the reader's",
    "my-robot": "stands for a program of the reader's",
}
"""Programs that are not this project's own, and are not looked at."""

PYTHON_RUN = {"README.md", "docs/integrations/python_loop.md"}
"""Pages whose programs are whole. Those of others are passages: compiled, and what they import must be there."""

PLACEHOLDERS = {"…", "FILE", "MODEL", "WEIGHTS", "DATA", "COMMAND", "[MODEL]", "MODEL.adasgn"}
OPERATORS = {"|", "&&", "||", ";", "&"}


@dataclass(frozen=True)
class Block:
    """What stands between fences. line: of the page, of the block's first one."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True)
class Command:
    """One program with its arguments. piped: whether something is piped into it; mention: it stands in a sentence,
    which may leave out what is not its subject."""

    place: str
    words: tuple[str, ...]
    piped: bool = False
    mention: bool = False

    def __str__(self) -> str:
        return f"{self.place}: {' '.join(self.words)}"


# -- what the pages say -------------------------------------------------------------------------------------------


def blocks(path: Path, root: Path = ROOT) -> Iterator[Block]:
    text = path.read_text(encoding="utf-8")
    for found in re.finditer(r"^```([^\n]*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        page = path.relative_to(root).as_posix()
        yield Block(page, text[: found.start(2)].count("\n") + 1, found[1].strip(), found[2])


def split(place: str, line: str, mention: bool = False) -> Iterator[Command]:
    """The programs of a line of shell, without redirections, settings before them and a prompt."""
    lexer = shlex.shlex(line.removeprefix("$ "), posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    words, piped, skip = [], False, False
    for word in [*lexer, ";"]:
        if word in OPERATORS:
            if words:
                yield Command(place, tuple(words), piped, mention)
            words, piped = [], word == "|"
        elif set(word) <= set("<>"):
            skip = True
        elif skip:
            skip = False
        elif words or not re.fullmatch(r"[A-Z_]+=.*", word):
            words.append(word)


def is_shell(line: str) -> bool:
    """Whether a line of a block without a language is a command, not what one prints."""
    own = ("adasgn-edge ", "python ", "make ", "my-tracker |")
    return line.removeprefix("$ ").startswith((*own, *(f"{name} " for name in OTHERS))) or line in OTHERS


def commands(path: Path, root: Path = ROOT) -> Iterator[Command]:
    """Of a page: those in blocks, and those in the text that begin with adasgn-edge, python or make."""
    page = path.relative_to(root).as_posix()
    for block in blocks(path, root):
        if block.language in ("", "bash", "sh", "console"):
            for number, line in enumerate(block.text.splitlines()):
                if is_shell(line):
                    yield from split(f"{page}:{block.line + number}", line)
    prose = re.sub(
        r"^```.*?^```$", lambda found: "\n" * found[0].count("\n"), path.read_text(encoding="utf-8"), flags=re.M | re.S
    )
    for found in re.finditer(r"`([^`]+)`", prose):
        text = " ".join(found[1].split())
        if text.startswith(("adasgn-edge ", "python -m ", "python examples", "make ")) or "&& adasgn-edge " in text:
            place = f"{page}:{prose[: found.start()].count(chr(10)) + 1}"
            yield from split(place, text, mention=True)


def all_commands(program: str) -> list[Command]:
    """Each command of the pages once."""
    found = [command for page in PAGES for command in commands(page) if command.words[0] == program]
    return list({command.words: command for command in found}.values())


# -- what would run it --------------------------------------------------------------------------------------------


def parse(command: Command) -> None:
    """Let adasgn-edge parse a command without running it; AssertionError for what it refuses."""
    import typer

    from adasgn_edge.cli import app, doctor

    arguments = [word for word in command.words[1:] if word != "…"]
    if arguments in (["COMMAND", "--help"], ["COMMAND"]):
        return
    known = typer.main.get_command(app._typer).commands  # type: ignore[attr-defined]
    assert arguments[0] in known, f"{command}: expected a command, found {arguments[0]!r}"
    with Path(os.devnull).open("w") as nothing, contextlib.redirect_stdout(nothing):
        if arguments[0] == "doctor":
            status: object = 0
            with contextlib.redirect_stderr(nothing):
                try:
                    doctor._parser().parse_args(arguments[1:])
                except SystemExit as end:
                    status = end.code
            assert status == 0, f"{command}: refused by argparse"
            return
        try:
            known[arguments[0]].make_context(f"adasgn-edge {arguments[0]}", arguments[1:])
        except Exception as error:
            kind = type(error).__name__  # Typer may bring a click of its own
            message = error.format_message() if hasattr(error, "format_message") else str(error)
            left_out = kind == "MissingParameter" or message.endswith("requires an argument.")
            if kind != "Exit" and not (command.mention and left_out):  # Exit: of --help
                raise AssertionError(f"{command}: {message}") from None


def source_of_module(name: str) -> str | None:
    """The text of a module of this tree that `python -m` runs, with that of the modules of its package."""
    path = ROOT / name.replace(".", "/")
    if path.is_dir():
        return (
            "".join(file.read_text(encoding="utf-8") for file in path.glob("*.py"))
            if (path / "__main__.py").is_file()
            else None
        )
    file = path.with_suffix(".py")
    return file.read_text(encoding="utf-8") if file.is_file() else None


def check_python(command: Command) -> None:
    """A module or file of this tree, whose source has the options; AssertionError for what it has not."""
    words = list(command.words[1:])
    if words[:2] == ["-m", "pytest"] or words[:2] == ["-m", "adasgn_edge"]:
        if words[1] == "adasgn_edge" and words[2:]:
            parse(Command(command.place, ("adasgn-edge", *words[2:])))
        return
    text: str | None
    if words[0] == "-m":
        text = source_of_module(words[1])
    else:
        file = ROOT / words[0]
        text = file.read_text(encoding="utf-8") if file.is_file() else None
    assert text is not None, f"{command}: expected a program of this tree, found none"
    for option in [word.partition("=")[0] for word in words if word.startswith("--")]:
        assert f'"{option}"' in text, f"{command}: the program has no option {option}"


def targets(makefile: str) -> set[str]:
    return set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))


def is_run(command: Command) -> bool:
    return " ".join(command.words) in RUN


# -- tests --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", all_commands("adasgn-edge"), ids=str)
def test_a_command_is_parsed(command: Command) -> None:
    parse(command)
    if not is_run(command) and len(command.words) > 1 and command.words[1] != "COMMAND":
        assert command.words[1] in PARSED_ONLY, (
            f"{command}: put it into RUN, or its command into PARSED_ONLY with a reason"
        )


def test_what_is_run_stands_on_a_page() -> None:
    said = {" ".join(command.words) for command in all_commands("adasgn-edge")}
    assert sorted(RUN - said) == []


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the commands name."""
    folder = tmp_path_factory.mktemp("desk")
    hand = animate("Swipe Right", seed=1)
    columns = ["frame", *(f"{joint}_{axis}" for joint in range(22) for axis in "xyz")]
    rows = [",".join([str(number), *(f"{value:.5f}" for value in frame.ravel())]) for number, frame in enumerate(hand)]
    for name in ("clip.csv", "hand.csv"):
        (folder / name).write_text("\n".join([",".join(columns), *rows]) + "\n", encoding="utf-8")
    for name in ("other.npz", "hand.npz"):
        np.savez(folder / name, positions=hand)
    lines = [
        f'{{"stamp_ns": {number * 20_000_000}, "joints": {(1000 * frame[2:]).tolist()}}}'
        for number, frame in enumerate(hand)
    ]
    (folder / "leap.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    shutil.copyfile(ROOT / "adasgn_edge" / "weights" / "shrec14.safetensors", folder / "weights.safetensors")
    results = folder / "bench" / "results"
    results.mkdir(parents=True)
    packed = ROOT / "bench" / "results" / "shrec14-eval.json.gz"
    (results / "shrec14-eval.json").write_bytes(gzip.decompress(packed.read_bytes()))
    return folder


def tracked() -> str:
    """What `my-tracker` writes: a header, and a hand frame by frame."""
    layout = load_layout("shrec22")
    header = header_line(StreamDescription.as_model(layout))
    hand = animate("Shake", seed=1)
    frames = [f'{{"stamp_ns": {number * 33_000_000}, "joints": {frame.tolist()}}}' for number, frame in enumerate(hand)]
    return "\n".join([header, *frames]) + "\n"


def environment() -> dict[str, str]:
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "COLUMNS": "200", "MPLBACKEND": "agg"}


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(
            one, marks=[pytest.mark.slow] * (one.words[1] in ("export", "plot") or one.words[1:] == ("doctor",))
        )
        for one in all_commands("adasgn-edge")
        if is_run(one)
    ],
    ids=str,
)
def test_a_command_is_run(command: Command, desk: Path) -> None:
    needed = {"export": "torch", "plot": "matplotlib"}.get(command.words[1])
    if needed is not None:
        pytest.importorskip(needed)
    ended = subprocess.run(
        [sys.executable, "-m", "adasgn_edge", *command.words[1:]],
        cwd=desk,
        env=environment(),
        input=tracked() if command.piped else "",
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    expected = (0, 1) if command.words[1] == "doctor" else (0,)  # 1: this recording looks odd to it
    assert ended.returncode in expected, f"{command}: {ended.stdout}{ended.stderr}"
    assert "Traceback" not in ended.stderr
    assert (ended.stdout + ended.stderr).strip()


@pytest.mark.parametrize("command", all_commands("python"), ids=str)
def test_a_program_of_this_tree_has_its_options(command: Command) -> None:
    check_python(command)


@pytest.mark.parametrize("command", all_commands("make"), ids=str)
def test_make_has_its_targets(command: Command) -> None:
    asked = {word for word in command.words[1:] if "=" not in word}
    assert asked <= targets((ROOT / "Makefile").read_text(encoding="utf-8")), str(command)


def test_every_other_program_has_its_line_in_the_table() -> None:
    found = [command for page in PAGES for command in commands(page)]
    known = {"adasgn-edge", "python", "make", *OTHERS}
    assert [str(command) for command in found if command.words[0] not in known] == []
    assert len(found) > 150


PYTHON = [block for page in PAGES for block in blocks(page) if block.language == "python"]


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_python_compiles_and_finds_what_it_imports(block: Block) -> None:
    tree = ast.parse(block.text, str(block))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("adasgn_edge"):
            for alias in node.names:
                assert offers(node.module or "", alias.name), f"{block}: {node.module} has no {alias.name}"
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("adasgn_edge"):
                    imported(alias.name)


def imported(name: str) -> Any:
    if name.startswith("adasgn_edge.torch_ops"):
        pytest.skip("needs the torch ops")
    return importlib.import_module(name)


def offers(module: str, name: str) -> bool:
    return hasattr(imported(module), name) or importlib.util.find_spec(f"{module}.{name}") is not None


@pytest.mark.parametrize("block", [one for one in PYTHON if one.page in PYTHON_RUN - {"README.md"}], ids=str)
def test_whole_programs_run(block: Block, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(block.text, encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, program],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, f"{block}: {ended.stderr}"
    assert ended.stdout.strip(), f"{block}: expected it to print something, found nothing"


def test_the_readme_s_program_says_what_was_performed(tmp_path: Path) -> None:
    (block,) = (one for one in PYTHON if one.page == "README.md")
    ended = subprocess.run(
        [sys.executable, "-c", block.text],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert [line.split()[0] for line in ended.stdout.splitlines()] == ["Left", "Shake", "Grab"]


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
def test_whole_c_plus_plus_programs_compile(tmp_path: Path) -> None:
    programs = [one for page in PAGES for one in blocks(page) if one.language == "cpp" and "int main(" in one.text]
    assert programs
    for number, block in enumerate(programs):
        file = tmp_path / f"program_{number}.cpp"
        file.write_text(block.text, encoding="utf-8")
        command = ["g++", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", f"-I{ROOT / 'csrc'}", str(file)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, f"{block}: {ended.stderr}"


def test_prose_has_lines_of_at_most_120() -> None:
    """As code has; tables, code and headings are as wide as they are."""
    found = []
    for page in PAGES:
        code = False
        for number, line in enumerate(page.read_text().splitlines(), 1):
            code ^= line.lstrip().startswith("```")
            if not code and len(line) > 120 and not line.startswith(("|", "#")):
                found.append(f"{page.relative_to(ROOT)}:{number}: {len(line)}")
    assert not found


def test_links_lead_somewhere() -> None:
    for page in [*PAGES, ROOT / "CHANGELOG.md", ROOT / "SECURITY.md", ROOT / "bench" / "results" / "README.md"]:
        prose = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
        for target in re.findall(r"\]\(([^)\s]+)\)", prose):
            if target.startswith(("http://", "https://")):
                continue
            name, _, anchor = target.partition("#")
            file = (page.parent / name).resolve() if name else page
            assert file.exists(), f"{page.name}: {target} leads nowhere"
            if anchor and file.suffix == ".md":
                assert anchor in anchors(file.read_text(encoding="utf-8")), f"{page.name}: {target}: no such heading"


def anchors(page: str) -> set[str]:
    """Of a page's headings, as GitHub makes them."""
    heads = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", page, flags=re.M | re.S), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("adasgn-edge classify clip.csv --efort 0.1", "--efort"),
        ("adasgn-edge clasify clip.csv", "clasify"),
        ("my-tracker | adasgn-edge stream --sauce model", "--sauce"),
        ("adasgn-edge train shrec14 && adasgn-edge calibrate --into", "--into"),
        ("adasgn-edge doctor --sorce hand.csv", "argparse"),
        ("python -m bench.faults --everything", "--everything"),
        ("python -m bench.nothing", "expected a program"),
        ("python -m adasgn_edge demo --spede 2", "--spede"),
    ],
)
def test_a_planted_wrong_command_is_found(tmp_path: Path, line: str, message: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# Page\n\n```\n{line}   # as people do\n```\n", encoding="utf-8")
    (command,) = [one for one in commands(page, tmp_path) if one.words[0] in ("python", "adasgn-edge")][-1:]
    with pytest.raises(AssertionError, match=message):
        check_python(command) if command.words[0] == "python" else parse(command)
