"""Whatever the bytes, a parser gives a result or an error of this package, soon, in little memory, in few words."""

from __future__ import annotations

import inspect
import json
import pkgutil
import re
import time
import tracemalloc
from importlib import import_module

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import adasgn_edge
from adasgn_edge.data.recordings import read_recordings
from adasgn_edge.errors import AdaSGNError
from tests.parsers.parser import CORPUS, PIECES, Parser, outcome
from tests.parsers.recordings import stick
from tests.parsers.table import PARSERS, UNTABLED

READS = re.compile(r"(read|load|open|parse|from)_\w+|read|load|open|parse|described|parsed")
"""What functions that read something of somebody are called."""
MOST_SECONDS = 10.0
MOST_MEMORY = 64 << 20
"""Bytes that a parser may take of files of a few kilobytes."""


def available(parser: Parser) -> Parser:
    for package in parser.needs:
        pytest.importorskip(package)
    return parser


def by_name(parser: Parser) -> str:
    return parser.name


@st.composite
def damaged(draw: st.DrawFn, corpus: list[bytes]) -> bytes:
    """A file of the corpus with up to four places cut out and replaced by something else, or by another place of it."""
    content = draw(st.sampled_from(corpus))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        length = draw(st.sampled_from([0, 0, 1, 2, 4, 8, 40, len(content)]))
        other = draw(st.integers(0, len(content)))
        piece = draw(
            st.one_of(st.sampled_from(PIECES), st.binary(max_size=8), st.just(content[other : other + max(length, 1)]))
        )
        content = content[:start] + piece + content[start + length :]
    return content


@pytest.mark.parametrize("parser", PARSERS, ids=by_name)
def test_damaged_files_are_read_or_refused_by_name(parser, tmp_path_factory):
    run = available(parser).open(tmp_path_factory.mktemp("parser"))
    corpus = [path.read_bytes() for path in parser.corpus]

    @settings(deadline=None, max_examples=60, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(damaged(corpus))
    def check(content: bytes) -> None:
        start = time.monotonic()
        outcome(run, content)
        assert time.monotonic() - start < MOST_SECONDS

    check()


@pytest.mark.parametrize("parser", PARSERS, ids=by_name)
def test_the_corpus(parser, tmp_path):
    """Files called valid are read; every file takes little memory, those that once broke the parser too."""
    run = available(parser).open(tmp_path)
    outcome(run, b"")  # imports what it needs
    for path in parser.corpus:
        content = path.read_bytes()
        tracemalloc.start()
        error = outcome(run, content)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < MOST_MEMORY, path.name
        if path.name.startswith("valid"):
            assert error is None, f"{path.name}: {error}"


def test_skipping_broken_samples_survives_every_file(tmp_path):
    """A folder of all clips of the corpus, sound and broken, and of broken ones cut short."""
    endings = {"npz": "npz", "npy": "npy", "csv": "csv", "tsv": "tsv", "txt": "txt", "json": "json", "jsonl": "jsonl"}
    sound = []
    for name, ending in {**endings, "csv_gz": "csv.gz"}.items():
        for path in sorted((CORPUS / name).iterdir()):
            content = path.read_bytes()
            (tmp_path / f"{name}-{path.name}.{ending}").write_bytes(content)
            (tmp_path / f"cut-{name}-{path.name}.{ending}").write_bytes(content[: len(content) // 2])
            sound += [f"{name}-{path.name}.{ending}"] if path.name.startswith("valid") else []
    files = sorted(path.name for path in tmp_path.iterdir())
    (tmp_path / "labels.csv").write_text("file,label\n" + "".join(f"{f},{n % 2}\n" for n, f in enumerate(files)))
    (tmp_path / "layout.json").write_text(json.dumps(stick().to_dict()))
    with pytest.raises(AdaSGNError, match="on_bad_sample"):
        read_recordings(tmp_path)
    with pytest.warns(UserWarning, match="broken samples left out"):
        dataset = read_recordings(tmp_path, on_bad_sample="skip")
    assert set(sound) <= set(dataset.names)
    assert len(dataset.names) + len(dataset.left_out) == len(files)


def test_every_reader_is_in_the_table():
    """A new reader has to be put there, or its name and why not."""
    found = set()
    for module in pkgutil.walk_packages(adasgn_edge.__path__, "adasgn_edge."):
        if module.name.split(".")[-1] in ("__main__", "_native", "_torch_ops"):
            continue
        try:
            loaded = import_module(module.name)
        except ImportError:  # of an extra that is not installed
            continue
        short = module.name.removeprefix("adasgn_edge.")
        for name in getattr(loaded, "__all__", ()):
            value = getattr(loaded, name)
            if getattr(value, "__module__", None) != module.name:
                continue
            if inspect.isfunction(value) and READS.fullmatch(name):
                found.add(f"{short}.{name}")
            if inspect.isclass(value):
                own = [key for key, kind in vars(value).items() if isinstance(kind, classmethod)]
                found |= {f"{short}.{name}.{key}" for key in own if READS.fullmatch(key)}
    covered = {function for parser in PARSERS for function in parser.covers}
    assert found <= covered | set(UNTABLED)


def test_every_corpus_is_a_parsers():
    assert {path.name for path in CORPUS.iterdir()} == {parser.name for parser in PARSERS}
    assert all(path.stat().st_size < 32_000 for path in CORPUS.glob("*/*"))
    assert len({parser.name for parser in PARSERS}) == len(PARSERS)
