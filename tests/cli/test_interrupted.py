"""Ctrl-C in the midst of what takes long, in every command: within a second, status 130, nothing half-written.

What ``bench``, ``demo``, ``record`` and ``stream`` keep of what they have is tested with them.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("typer")
pytest.importorskip("adasgn_edge._native", reason="the native engine is not built")

from tests.cli.conftest import status_of
from tests.conftest import POLICY_WEIGHTS
from tests.train.conftest import stick_subjects, write_recordings

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SECONDS = 1.0
"""Of processors, the command's own and of what it has started: how long it takes by the clock is the machine's."""

# What takes long is done again and again, so that the signal comes in the midst of it on any machine.
CHILD = """
import importlib, os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background of a shell it is ignored
place, *sys.argv[1:] = sys.argv[1:]
module, name = place.split(":")
module = importlib.import_module(module)
work = getattr(module, name)
def again_and_again(*arguments, **options):
    os.write(int(os.environ["AT_WORK"]), b".")
    while True:
        work(*arguments, **options)
setattr(module, name, again_and_again)
from adasgn_edge.cli import main
main()
"""

CASES = {
    "train, reading": ("adasgn_edge.data.registry:open_dataset", "train sticks --out OUT/run"),
    "train, an epoch": ("adasgn_edge.train.course:run_course", "train sticks --out OUT/run --threads 1"),
    "convert": ("adasgn_edge.data.registry:open_dataset", "convert sticks --out OUT/sticks.skeletons"),
    "convert, writing": ("adasgn_edge.data.cache:save_dataset", "convert sticks --out OUT/sticks.skeletons"),
    "eval": ("adasgn_edge.train.report:measure", "eval folds"),
    "calibrate": ("adasgn_edge.train.calibration:held_out_levels", "calibrate folds"),
    "export, ONNX": (
        "adasgn_edge.deploy.onnx_graphs:write_onnx",
        f"export {POLICY_WEIGHTS} -o OUT/model.adasgn --onnx OUT/graphs",
    ),
    "export": ("adasgn_edge.deploy.export:export_weights", f"export {POLICY_WEIGHTS} -o OUT/model.adasgn"),
    "plot": ("adasgn_edge.plots:save", "plot curves folds -o OUT/curves.png"),
    "classify": ("adasgn_edge.data.clips:read_recording", "classify clip.npz"),
    "replay": ("adasgn_edge.data.clips:read_recording", "replay clip.npz"),
    "demo": ("adasgn_edge.cli.demo_stream:the_performance", "demo"),
    "demo, clips": ("adasgn_edge.cli.demo_clips:clips_to_play", "demo --model clips"),
    "bench, preparing": ("adasgn_edge.bench.dense_torch:TorchDense", "bench"),
    "doctor": ("adasgn_edge.installation.diagnosis:diagnose", "doctor"),
    "eval-stream": ("adasgn_edge.data.registry:open_online_dataset", "eval-stream hands.adasgn"),
}
"""What takes long, and the command."""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with recordings, a clip of them and a run on folds."""
    from adasgn_edge.hands import animate

    folder = tmp_path_factory.mktemp("desk")
    write_recordings(folder / "sticks", stick_subjects(72))
    import numpy as np

    np.savez(folder / "clip.npz", positions=animate("Tap"))
    recipe = folder / "sticks.toml"
    recipe.write_text('[data]\ndataset = "sticks"\n[model]\nframes = 6\n[shared]\nstride = 2\n')
    options = ("--only", "adasgn-shared", "--epochs", 1, "--threads", 1)
    assert status_of("train", recipe, "--folds", 2, "--out", folder / "folds", *options) == 0
    return folder


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def spent() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.parametrize("case", CASES)
def test_ctrl_c(case: str, desk: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    place, command = CASES[case]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(tmp_path)}
    if case == "eval-stream":
        environment["ADASGN_DATA"] = str(request.getfixturevalue("data_root"))
        command = command.replace("hands.adasgn", str(ROOT / "adasgn_edge/weights/hands.adasgn"))
    before, spent_before = files_of(desk), spent()
    command = command.replace("OUT", str(tmp_path))
    read, write = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, place, *command.split()], cwd=desk, env={**environment, "AT_WORK": str(write)},
        pass_fds=(write,), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    os.close(write)
    try:
        assert os.read(read, 1) == b".", process.communicate(timeout=60)[1]
        time.sleep(0.3)
        stat = Path(f"/proc/{process.pid}/stat").read_text().rpartition(") ")[2].split()
        until_then = sum(map(int, stat[11:15])) / os.sysconf("SC_CLK_TCK")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
        os.close(read)
    assert (process.returncode, said.splitlines()[-1:]) == (130, ["adasgn-edge: interrupted"])
    assert "Traceback" not in said
    assert files_of(desk) == before
    assert not list(tmp_path.rglob("*.tmp")), "nothing half-written"
    assert spent() - spent_before - until_then < SECONDS


IN_NUMPY = """
class Press:
    def find_spec(self, name, path=None, target=None):
        if name == "numpy._core._dtype_ctypes":
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Press())
"""
IN_TORCH = """
def watch(frame, event, function):
    global inside
    if event == "c_call" and function.__name__ == "_dist_autograd_init":
        inside = True
    elif event == "call" and inside:
        sys.setprofile(None)
        signal.raise_signal(signal.SIGINT)
inside = False
sys.setprofile(watch)
"""


@pytest.mark.parametrize("press", [IN_NUMPY, IN_TORCH], ids=["where torch goes on without NumPy", "where torch aborts"])
def test_ctrl_c_while_torch_is_imported(press: str) -> None:
    code = f"""
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
{press}
from adasgn_edge.cli import main
main()
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code, "eval"], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "adasgn-edge: interrupted\n")
