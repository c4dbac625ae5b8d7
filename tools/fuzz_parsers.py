"""Coverage-guided fuzzing of every parser of tests/parsers/table.py, with atheris: ``make fuzz-parsers``.

    python tools/fuzz_parsers.py --seconds 60 [PARSER ...]      the seconds are shared by the parsers
    python tools/fuzz_parsers.py --replay PARSER FILE           what a parser makes of a file; needs no atheris

What breaks a parser is written to --failures, a small file for each place in the code that it broke at, and fuzzing
goes on. What was learnt stays in --corpus. Exit status 1 when something was found.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.parsers.parser import Parser

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
SMALLEST = 1.0
"""Seconds of a parser."""
LIMITS = ("-timeout=10", "-rss_limit_mb=2048", "-max_len=16384", "-print_final_stats=1", "-reload=0")
EXECUTED, COVERED = re.compile(rb"stat::number_of_executed_units:\s*(\d+)"), re.compile(rb"cov: (\d+)")


def main() -> int:
    """Run a parser after the other, each in a process of its own: a fork, as to import and instrument takes seconds."""
    options = _options()
    if options.replay:
        return _replay(*options.replay)
    import atheris

    with atheris.instrument_imports(include=["adasgn_edge", "zipfile", "csv", "gzip", "tomllib"]):
        from tests.parsers.table import PARSERS

        unknown = set(options.rest) - {parser.name for parser in PARSERS}
        if unknown:
            sys.exit(f"fuzz_parsers: expected names of parsers, found {', '.join(sorted(unknown))}")
        parsers = {parser.name: parser for parser in PARSERS if parser.name in options.rest or not options.rest}
        options.failures.mkdir(parents=True, exist_ok=True)
        before = set(options.failures.iterdir())
        for parser in parsers.values():
            _try_corpus(parser, options.failures)  # imports whatever it needs
    end, total = time.monotonic() + options.seconds, 0
    for place, (name, parser) in enumerate(parsers.items()):
        seconds = max(SMALLEST, (end - time.monotonic()) / (len(parsers) - place))
        executed, covered = _run(parser, round(seconds), options)
        total += executed
        print(f"{name:24} {executed:9} inputs, {covered:5} edges", flush=True)
    found = sorted(set(options.failures.iterdir()) - before)
    print(f"{total} inputs in all, {len(found)} findings")
    for path in found:
        print(f"    python tools/fuzz_parsers.py --replay {path.name.split('-')[0]} {path}")
    return 1 if found else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0, help="of the inputs; 0, the default: other ones each time")
    parser.add_argument("--corpus", type=Path, default=ROOT / "build/fuzz/parsers")
    parser.add_argument("--failures", type=Path, default=ROOT / "build/fuzz/parser-failures")
    parser.add_argument("--replay", nargs=2, metavar=("PARSER", "FILE"))
    parser.add_argument("rest", nargs="*", metavar="PARSER")
    return parser.parse_args()


def _run(parser: Parser, seconds: int, options: argparse.Namespace) -> tuple[int, int]:
    """Inputs tried and edges covered by a process for one parser."""
    from tests.parsers.parser import PIECES

    name = parser.name
    learnt, seeds = options.corpus / name, ROOT / "tests/corpus" / name
    learnt.mkdir(parents=True, exist_ok=True)
    words = options.corpus / "words.dict"
    words.write_text("".join(f'"{_escaped(piece)}"\n' for piece in PIECES if 0 < len(piece) < 32))
    arguments = [*LIMITS, f"-dict={words}", f"-seed={options.seed}", f"-max_total_time={seconds}"]
    arguments += [f"-artifact_prefix={options.failures}/{name}-", str(learnt), str(seeds)]
    with tempfile.TemporaryFile() as output:
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
            try:
                _fuzz(parser, options.failures, arguments)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(1)  # libFuzzer ends the process itself
        _, status = os.waitpid(child, 0)
        output.seek(0)
        said = output.read()
    if status:  # libFuzzer's own findings: a crash of native code, a limit; or the tool does not run at all
        print(said[-3000:].decode(errors="replace"))
        if not EXECUTED.search(said) and b"Test unit written" not in said:
            sys.exit(f"fuzz_parsers: {name} did not run")
    executed, covered = EXECUTED.findall(said), COVERED.findall(said)
    return int(executed[-1]) if executed else 0, int(covered[-1]) if covered else 0


def _escaped(piece: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in piece)


def _fuzz(parser: Parser, failures: Path, arguments: list[str]) -> None:
    """Fuzz one parser in this process until libFuzzer's arguments end it."""
    import atheris

    from tests.parsers.parser import outcome

    with tempfile.TemporaryDirectory() as folder:
        run = parser.open(Path(folder))
        atheris.Setup(
            [sys.argv[0], *arguments],
            lambda content: _keep_finding(lambda content: outcome(run, content), content, parser.name, failures),
        )
        atheris.Fuzz()


def _try_corpus(parser: Parser, failures: Path) -> None:
    from tests.parsers.parser import outcome

    with tempfile.TemporaryDirectory() as folder:
        run = parser.open(Path(folder))
        for content in (b"", *(path.read_bytes() for path in parser.corpus)):
            _keep_finding(lambda content: outcome(run, content), content, parser.name, failures)


def _keep_finding(run: Callable[[bytes], object], content: bytes, name: str, failures: Path) -> None:
    """Write an input that breaks a parser; of those that break it at the same place, the smallest."""
    try:
        run(content)
    except Exception as error:
        frames = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
        ours = next((frame for frame in reversed(frames) if "/adasgn_edge/" in frame), frames[-1])
        place = hashlib.sha256(f"{type(error).__name__} {ours}".encode()).hexdigest()[:8]
        path = failures / f"{name}-{type(error).__name__}-{place}"
        if not path.exists() or len(content) < path.stat().st_size:
            path.write_bytes(content)


def _replay(name: str, file: str) -> int:
    from tests.parsers.parser import outcome
    from tests.parsers.table import PARSERS

    parser = next(parser for parser in PARSERS if parser.name == name)
    with tempfile.TemporaryDirectory() as folder:
        print(outcome(parser.open(Path(folder)), Path(file).read_bytes()) or "nothing wrong")
    return 0


if __name__ == "__main__":
    sys.exit(main())
