"""What an engine accepts, refuses and promises, apart from its numbers."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import adasgn_edge
from adasgn_edge.engine import instruction_sets
from adasgn_edge.errors import ClipError, EngineError, ModelFileError

MEASURE = """
import sys, time
import numpy  # its own start, two thirds of all, is not this package's
start = time.process_time()
import adasgn_edge
engine = adasgn_edge.load(sys.argv[1])
seconds = time.process_time() - start
assert engine.description.frames == 20
print(seconds, *sorted({name.partition(".")[0] for name in sys.modules}))
"""


def test_loading_is_quick_and_needs_numpy_alone(shrec):
    runs = []
    for _ in range(3):
        command = [sys.executable, "-c", MEASURE, str(shrec.path)]
        alone = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        words = subprocess.run(command, capture_output=True, text=True, check=True, env=alone).stdout.split()
        runs.append(float(words[0]))
        assert not {"torch", "safetensors", "pydantic", "typer", "rich", "matplotlib"} & set(words[1:])
        assert "numpy" in words
    assert min(runs) < 0.3, f"import and load after NumPy: expected under 0.3 s of CPU time, found {runs}"


def test_what_the_file_tells(shrec):
    facts = adasgn_edge.load(shrec.path).description
    config = shrec.reference.config
    assert facts.kind == "adasgn"
    assert (facts.joints, facts.classes, facts.frames) == (config.joints, config.classes, config.frames)
    assert facts.branches == config.branch_names
    assert facts.layout.name == "shrec22"
    assert facts.layout.joint_count == 22
    assert len(facts.class_names) == 14
    assert facts.stream == "joint"
    assert set(facts.cost) == {"paper", "full", "folded"}


@pytest.mark.parametrize(
    "strided",
    [
        lambda x: np.asfortranarray(x),
        lambda x: x.astype(np.float64),
        lambda x: np.repeat(x, 2, axis=1)[:, ::2],
        lambda x: np.ascontiguousarray(x[:, ::-1])[:, ::-1],
        lambda x: np.concatenate([x, x], axis=-1)[..., :3],
        lambda x: x.astype(">f4"),
        lambda x: x.tolist(),
    ],
)
def test_strides_and_types_do_not_matter(shrec, strided):
    engine = adasgn_edge.load(shrec.path)
    clips = shrec.clips(2)
    np.testing.assert_array_equal(engine.run(strided(clips)).logits, engine.run(clips).logits)


@pytest.mark.parametrize(
    ("clips", "message"),
    [
        (np.zeros((2, 20, 21, 3)), r"expected shape .*20, 22, 3.*found \(2, 20, 21, 3\)"),
        (np.zeros((2, 19, 22, 3)), "expected shape"),
        (np.zeros((2, 20, 22, 2)), "expected shape"),
        (np.zeros((20, 22, 3)), "expected shape"),
        (np.zeros((5, 20, 22, 3)), "max_batch"),
        (np.zeros((2, 3, 20, 22, 3)), "max_batch"),
        (np.zeros((2, 0, 20, 22, 3)), "persons"),
        (
            np.full((1, 20, 22, 3), np.nan),
            "clip 0: expected finite coordinates of at most 10000, found nan at frame 0, joint 0",
        ),
        (np.full((1, 20, 22, 3), 1e300), "found inf"),
        (np.zeros((1, 20, 22, 3), complex), "expected real numbers"),
        (np.full((1, 20, 22, 3), "1"), "expected real numbers"),
        ([[1, 2], [3]], "expected"),
        (None, "expected"),
    ],
)
def test_clips_that_do_not_fit(shrec, clips, message):
    engine = adasgn_edge.load(shrec.path, max_batch=4)
    with pytest.raises(ClipError, match=message):
        engine.run(clips)
    with pytest.raises(ClipError, match=message):
        engine.run_fuse(clips)


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        (np.full((1, 20), 6), "expected branch numbers 0 to 5, found 6"),
        (np.full((1, 20), -1), "found -1"),
        (np.full((1, 20), 1 << 40), "expected branch numbers"),
        (np.zeros((1, 19), int), "actions"),
        (np.zeros(20, int), "actions"),
        (np.int64(3), "actions"),
        (np.zeros((1, 20)), "expected whole numbers"),
    ],
)
def test_actions_that_do_not_fit(shrec, actions, message):
    with pytest.raises(ClipError, match=message):
        adasgn_edge.load(shrec.path).run(shrec.clips(1), actions)


def test_stage_inputs_that_do_not_fit(shrec):
    engine = adasgn_edge.load(shrec.path, max_batch=2)
    frames = np.zeros((4, 22, 3), np.float32)
    with pytest.raises(ClipError, match="previous frames"):
        engine.policy_features(frames, frames[:3])
    with pytest.raises(ClipError, match="frames: expected 0 to 40, found 41"):
        engine.policy_features(np.zeros((41, 22, 3)))
    with pytest.raises(ClipError, match="features"):
        engine.actions(np.zeros((1, 20, 255)))
    with pytest.raises(ClipError, match="finite"):
        engine.temporal_head(np.full((1, 20, 256), np.inf))
    with pytest.raises(ClipError, match="policy features"):
        engine.branch_features(frames, None, np.zeros(4, int), np.zeros((3, 256)))


def test_options_that_cannot_be_had(shrec):
    for options in ({"device": "quantum"}, {"max_batch": 0}, {"threads": 0}, {"instruction_set": "mmx"}):
        with pytest.raises(EngineError, match=r"expected .*, found"):
            adasgn_edge.load(shrec.path, **options)


def test_files_that_are_not_models(shrec, tmp_path):
    whole = shrec.path.read_bytes()
    for name, content in {"empty": b"", "cut": whole[:-1], "text": b"hello, this is no model" * 9}.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(ModelFileError, match=name):
            adasgn_edge.load(path)
    with pytest.raises(ModelFileError, match="missing"):
        adasgn_edge.load(tmp_path / "missing")
    with pytest.raises(ModelFileError):
        adasgn_edge.load(tmp_path)


def test_the_interpreter_runs_on_while_the_engine_works(shrec):
    engine = adasgn_edge.load(shrec.path, max_batch=16)
    clips = shrec.clips(16)
    done = threading.Event()

    def work():
        engine.run_fuse(clips)
        done.set()

    thread = threading.Thread(target=work)
    thread.start()
    turns = 0
    while not done.is_set():
        turns += 1
    thread.join()
    assert turns > 1000  # holding the GIL, the engine would leave this loop no turn but the last


def test_one_engine_called_from_several_threads(shrec):
    engine = adasgn_edge.load(shrec.path, max_batch=2)
    clips = [shrec.clips(2, seed) for seed in range(4)]
    expected = [engine.run(clip).logits for clip in clips]
    found: list[list[np.ndarray]] = [[] for _ in clips]
    threads = [
        threading.Thread(target=lambda i=i: found[i].extend(engine.run(clips[i]).logits for _ in range(10)))
        for i in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for logits, several in zip(expected, found, strict=True):
        assert len(several) == 10
        assert all(np.array_equal(logits, one) for one in several)


def test_instruction_sets_agree(shrec):
    clips = shrec.clips(2)
    logits = [adasgn_edge.load(shrec.path, instruction_set=isa).run(clips).logits for isa in instruction_sets()]
    for other in logits[1:]:
        np.testing.assert_allclose(other, logits[0], rtol=1e-4, atol=1e-4)
