"""Parsers of model files, weights, training states, and what stands beside an engine of TensorRT."""

from __future__ import annotations

import json
import struct
from pathlib import Path

from tests.parsers.parser import Run, every


def model(path: Path) -> object:
    """Both readers of model files, and what is made of one that they take."""
    from adasgn_edge.deploy.model_file import ModelFile, read_model_file
    from adasgn_edge.engine import load, load_content

    content = path.read_bytes()
    every(
        (
            lambda: read_model_file(path),
            lambda: ModelFile.from_bytes(content),
            lambda: load(path, threads=1, max_batch=1),
            lambda: load_content(content, "input", threads=1),
        )
    )
    return None


def model_header(folder: Path) -> Run:
    """The JSON of a model file's header, with the length and the checksum that fit."""
    from adasgn_edge.deploy.model_file import DIGEST, _checksum

    path = folder / "input.adasgn"

    def run(content: bytes) -> None:
        whole = bytearray(struct.pack("<Q", len(content)) + content)
        if len(whole) >= DIGEST.stop:
            whole[DIGEST] = _checksum(whole)
        path.write_bytes(whole)
        model(path)

    return run


def fused(path: Path) -> object:
    from adasgn_edge.deploy.fused_file import read_fused_file

    return read_fused_file(path)


def replay(path: Path) -> object:
    from adasgn_edge.replay import Replay

    return Replay.load(path, threads=1)


def weights(path: Path) -> object:
    from adasgn_edge.model.weights import load_weights

    return load_weights(path)


def state(path: Path) -> object:
    from adasgn_edge.train.checkpoint import Origin, load_state

    return load_state(path, Origin("settings", "data"))


def weights_header(folder: Path) -> Run:
    """The metadata of weights, as JSON, beside one tensor."""
    from adasgn_edge.model.weights import FORMAT

    path = folder / "input.safetensors"

    def run(content: bytes) -> None:
        metadata = {FORMAT: content.decode(errors="replace")}
        tensors = {"classifier.bias": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}
        header = json.dumps({"__metadata__": metadata, **tensors}).encode()
        path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
        weights(path)

    return run


def engine_facts(folder: Path) -> Run:
    """What stands beside an engine of TensorRT, which is a program and no parser's business."""
    from adasgn_edge.tensorrt.cache import read_engine

    engine, facts = folder / "input.engine", folder / "input.json"
    for file in (engine, facts):
        file.write_bytes(b"engine")
        file.chmod(0o600)  # others could write to it else

    def run(content: bytes) -> None:
        facts.write_bytes(content)
        read_engine(engine)

    return run
