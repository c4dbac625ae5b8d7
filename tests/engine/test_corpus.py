"""Both readers of model files on the inputs that the fuzzer has found worth keeping, and on what has broken a reader:
they agree on every one, and say why in few words. C++ runs them under sanitizers, too (tests/cpp/run_corpus.cpp)."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

import adasgn_edge
from adasgn_edge.deploy.model_container import DIGEST
from adasgn_edge.deploy.model_file import ModelFile, _checksum
from adasgn_edge.engine import load_content
from adasgn_edge.errors import ModelFileError

CORPUS = sorted((Path(__file__).parents[1] / "corpus" / "model_file").iterdir())
ENGINE_ALONE = "expected weights whose sums stay within float's range"


def quoted(text: bytes) -> bytes:
    """As a JSON string; bytes that are not UTF-8 stay."""
    return b'"%b"' % b"".join(
        b"\\u%04x" % byte if byte < 0x20 else b"\\" * (byte in b'"\\') + bytes([byte]) for byte in text
    )


def file_of_input(fuzzed: bytes) -> bytes:
    """The model file that an input of the fuzzer stands for: tests/cpp/fuzz_input.h."""
    if len(fuzzed) < 5 or fuzzed[:1] not in (b"1", b"2", b"3"):
        file = fuzzed[1:]
    else:
        (size,) = struct.unpack("<I", fuzzed[1:5])
        size &= (1 << 22) - 1
        description, tensors, data = [*fuzzed[5:].split(b"\0", 2), b"", b""][:3]
        header = b'{"__metadata__":{"checksum":"sha256:' + b"0" * 64
        header += b'","format":"adasgn_edge.model","version":"%b","model":' % fuzzed[:1]
        header += quoted(description) + b"}" + tensors + b"}"
        header += b" " * (-(len(header) + 8) % 64)
        file = struct.pack("<Q", len(header)) + header + data[:size].ljust(size, b"\0")
    if len(file) >= DIGEST.stop:
        file = file[: DIGEST.start] + _checksum(file) + file[DIGEST.stop :]
    return file


def verdict(read, file: bytes) -> str:
    try:
        read(file)
    except ModelFileError as error:
        text = str(error)
        assert len(text) < 700
        assert text.isprintable()
        return "sound" if ENGINE_ALONE in text else "refused"
    return "sound"


def test_readers_agree_on_the_corpus():
    found = {"sound": 0, "refused": 0}
    for path in CORPUS:
        file = file_of_input(path.read_bytes())
        python, native = verdict(ModelFile.from_bytes, file), verdict(lambda file: load_content(file, "model"), file)
        assert python == native, path.name
        found[native] += 1
    assert found["sound"] > 10
    assert found["refused"] > 100


@pytest.mark.parametrize("name", ["weights-too-large", "weights-infinite", "nested", "long-number", "zeros"])
def test_a_file_of_the_corpus_on_disk(tmp_path, name):
    path = tmp_path / "model.adasgn"
    path.write_bytes(file_of_input(next(path for path in CORPUS if path.name == name).read_bytes()))
    for load in (adasgn_edge.load, adasgn_edge.Recogniser):
        with pytest.raises(ModelFileError, match=r"model\.adasgn: .*expected"):
            load(path)
