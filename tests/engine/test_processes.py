"""An engine, or a recogniser, belongs to the process that loaded it. Everything runs in a process of its own with a
time limit: what hangs or crashes fails here, and takes nothing with it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SECONDS = 120

COMMON = """
import faulthandler, gc, multiprocessing, os, signal, sys, threading, time
import numpy as np
import adasgn_edge
from adasgn_edge.errors import EngineError

PATH = sys.argv[1]
CLIPS = np.random.default_rng(0).standard_normal((4, 20, 22, 3)).astype(np.float32)

def in_child(work, seconds=30):
    '''How a forked child ends that does `work` and leaves without the interpreter's own end.'''
    pid = os.fork()
    if pid == 0:
        signal.alarm(seconds)
        faulthandler.dump_traceback_later(seconds - 5)
        try:
            work()
        except BaseException:
            faulthandler.dump_traceback(all_threads=False)
            sys.excepthook(*sys.exc_info())
            os._exit(9)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def refused(call, error=EngineError):
    try:
        call()
    except error as found:
        text = str(found)
        assert f"loaded it, {os.getppid()}" in text and f"process {os.getpid()}" in text, text
        assert "load the model file in this process" in text and len(text) < 500, text
    else:
        raise AssertionError("not refused")
"""

CALLS = """
def every_call(engine):
    frames, features = CLIPS[:, 0], np.zeros((2, 20, 256), np.float32)
    return [
        lambda: engine.run(CLIPS), lambda: engine.run(CLIPS[:0]), lambda: engine.run(CLIPS, np.zeros((4, 20), int)),
        lambda: engine.run_fuse(CLIPS), lambda: engine.policy_features(frames), lambda: engine.actions(features),
        lambda: engine.branch_features(frames, None, np.zeros(4, int)), lambda: engine.temporal_head(features),
    ]

for threads in (1, 2, 4):
    engine = adasgn_edge.load(PATH, threads=threads)
    expected = engine.run(CLIPS).logits

    def calls_are_refused():
        for call in every_call(engine):
            refused(call)
        assert engine.description.frames == 20  # what it knows it may tell

    def own_engine():
        own = adasgn_edge.load(PATH, threads=threads)
        assert np.array_equal(own.run(CLIPS).logits, expected)

    def let_go():
        global engine
        del engine
        gc.collect()
        own_engine()

    for work in (calls_are_refused, own_engine, let_go):
        status = in_child(work)
        assert status == 0, (threads, work.__name__, status)
    assert np.array_equal(engine.run(CLIPS).logits, expected)
"""

EXIT = """
engine = adasgn_edge.load(PATH, threads=4)
engine.run(CLIPS)
pid = os.fork()
if pid == 0:
    signal.alarm(30)
    sys.exit(0)  # the interpreter's whole end, destructors included
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
assert status == 0, status
"""

WHILE_RUNNING = """
engine = adasgn_edge.load(PATH, threads=2)
big = np.repeat(CLIPS, 16, axis=0)
stop = threading.Event()

def run():
    while not stop.is_set():
        engine.run(big)

thread = threading.Thread(target=run)
thread.start()
time.sleep(0.05)
found = [in_child(lambda: refused(lambda: engine.run(CLIPS))) for _ in range(10)]  # the lock is the other thread's
stop.set()
thread.join()
assert found == [0] * 10, found
"""

POOL = """
engine = adasgn_edge.load(PATH, threads=2)
expected = engine.run(CLIPS).logits

def inherited(_):
    try:
        engine.run(CLIPS)
    except EngineError as error:
        return str(error)
    return "no error"

def load_own():
    global engine
    engine = adasgn_edge.load(PATH, threads=2)

def run(clip):
    return engine.run(clip[None]).logits[0]

context = multiprocessing.get_context("fork")
with context.Pool(2) as pool:
    found = pool.map_async(inherited, range(4)).get(60)
    assert all("multiprocessing: in each worker" in text for text in found), found
with context.Pool(2, load_own) as pool:  # as the message says
    found = pool.map_async(run, list(CLIPS)).get(60)
    assert np.allclose(found, expected, atol=1e-5)
"""

LOADER = """
import torch
from torch.utils.data import DataLoader, Dataset

class Logits(Dataset):
    def __init__(self, load, own):
        self.load, self.own, self.engine = load, own, load()

    def __len__(self):
        return len(CLIPS)

    def __getitem__(self, index):
        if self.own and self.engine is not None and torch.utils.data.get_worker_info() and not hasattr(self, "mine"):
            self.engine, self.mine = self.load(), True
        found = self.engine.run(CLIPS[index : index + 1]) if hasattr(self.engine, "run") else self.engine(
            torch.from_numpy(CLIPS[index : index + 1]))
        return torch.as_tensor(found.logits[0])

def loads():
    yield lambda: adasgn_edge.load(PATH, threads=2), EngineError
    try:
        from adasgn_edge import torch_ops
    except EngineError:
        return
    yield lambda: torch_ops.load(PATH, threads=2), ValueError

for load, error in loads():
    whole = torch.stack(list(Logits(load, False)))
    loader = DataLoader(Logits(load, True), batch_size=2, num_workers=2, multiprocessing_context="fork", timeout=60)
    assert torch.equal(torch.cat(list(loader)), whole)
    loader = DataLoader(Logits(load, False), batch_size=2, num_workers=2, multiprocessing_context="fork", timeout=60)
    try:
        list(loader)
    except error as found:
        assert "load the model file in this process" in str(found), found
    else:
        raise AssertionError("not refused")
"""

TORCH = """
import torch
from adasgn_edge import torch_ops

tensor = torch.from_numpy(CLIPS)
model = torch_ops.load(PATH, threads=3)
expected = model(tensor).logits
stop = threading.Event()

def load_and_release():  # is in the table of engines nearly always
    while not stop.is_set():
        torch_ops.load(PATH, max_batch=1)

def calls():
    features = torch.zeros(2, 20, 256)
    for call in (
        lambda: model(tensor), lambda: model.run_fuse(tensor).logits, lambda: model.policy_features(tensor[:, 0]),
        lambda: model.actions(features), lambda: model.temporal_head(features),
        lambda: model.branch_forward(tensor[:, 0], None, 1), lambda: model.check(),
        lambda: model(tensor, torch.zeros(4, 20, dtype=torch.int32)),
    ):
        refused(call, ValueError)

def let_go():
    global model
    del model
    gc.collect()
    own = torch_ops.load(PATH, threads=3)
    assert torch.equal(own(tensor).logits, expected)

thread = threading.Thread(target=load_and_release)
thread.start()
found = [in_child(work) for work in (calls, let_go) * 3]
stop.set()
thread.join()
assert found == [0] * 6, found
assert torch.equal(model(tensor).logits, expected)
"""

STREAM = """
PATH = adasgn_edge.shipped_model("hands")
BODY = np.random.default_rng(1).standard_normal((22, 3)).astype(np.float32)
recogniser = adasgn_edge.Recogniser(PATH, threads=3)

def labels(recogniser):
    outputs = [recogniser.push(33_000_000 * i, {7: BODY + 0.01 * i}) for i in range(60)]
    return [result.label for output in outputs for result in output.results]

def calls():
    for call in (
        lambda: recogniser.push(10**12, {7: BODY}), lambda: recogniser.push(10**12, {}), lambda: recogniser.ready(7),
        lambda: recogniser.state(7), recogniser.stats, recogniser.reset, lambda: recogniser.reset(7),
    ):
        refused(call)
    assert recogniser.labels

def let_go():
    global recogniser
    del recogniser
    gc.collect()
    assert labels(adasgn_edge.Recogniser(PATH, threads=3)) == expected

expected = labels(recogniser)
stop = threading.Event()

def push():
    while not stop.is_set():
        recogniser.push(10**12, {7: BODY})

thread = threading.Thread(target=push)
thread.start()
found = [in_child(work) for work in (calls, let_go) * 3]
stop.set()
thread.join()
assert found == [0] * 6, found

def own(_):
    return labels(adasgn_edge.Recogniser(PATH))

with multiprocessing.get_context("fork").Pool(2) as pool:
    assert pool.map_async(own, range(2)).get(60) == [expected] * 2
"""

SPAWN = """
import pickle
engine = adasgn_edge.load(PATH)
for way in (pickle.dumps, __import__("copy").copy):
    try:
        way(engine)
    except EngineError as error:
        assert "load the model file again" in str(error)
    else:
        raise AssertionError("copied")
"""

LIMITED = """
import resource
adasgn_edge.load(PATH)
with open("/proc/self/statm") as file:  # as it is and 700 MB: some threads' stacks of 8 MB, not 1,023
    limit = int(file.read().split()[0]) * resource.getpagesize() + 700 * 1000 * 1000
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    adasgn_edge.load(PATH, threads=1024, max_batch=1)
except EngineError as error:
    assert "threads: expected to start 1023" in str(error) or "memory: expected" in str(error), error
else:
    raise AssertionError("1,024 threads?")
try:
    adasgn_edge.load(PATH, max_batch=65536)
except EngineError as error:
    assert "memory: expected enough for max_batch 65536 and threads 1" in str(error), error
else:
    raise AssertionError("65,536 clips?")
assert adasgn_edge.load(PATH, threads=2).run(CLIPS).logits.shape == (4, 14)
"""

INTERRUPTED = """
signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background of a shell it is ignored
engine = adasgn_edge.load(PATH, max_batch=4096)
many = np.tile(CLIPS, (1024, 1, 1, 1))
expected = engine.run(many[:130]).logits
assert np.array_equal(expected[:4], engine.run(CLIPS).logits)  # parts do not change a bit
start = time.monotonic()
engine.run_fuse(many[:64])
seconds_of_64 = time.monotonic() - start
for call in (engine.run, engine.run_fuse, lambda clips: engine.run(clips, np.full((4096, 20), 5))):
    threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    start = time.monotonic()
    try:
        for _ in range(20):  # a busy machine may be slow to send it
            call(many)
    except KeyboardInterrupt:
        seconds = time.monotonic() - start
        # A part is at most a sixth of those 64 clips, and all are 64 times as many; the rest is for a busy machine.
        assert seconds < 1 + max(1, 3 * seconds_of_64), (seconds, seconds_of_64)
    else:
        raise AssertionError("ran to its end")
assert np.array_equal(engine.run(many[:130]).logits, expected)

found = []

def handler(*_):  # runs within the run, whose buffers are in use
    try:
        engine.run(CLIPS)
    except EngineError as error:
        found.append(str(error))

signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.1)
assert np.array_equal(engine.run(many[:1024]).logits[:130], expected)
assert found == ["engine: expected one call at a time, found one from a signal's handler"], found
"""

SCRIPTS = {
    "every call in a forked child": CALLS,
    "the end of a forked child": EXIT,
    "fork while another thread runs the engine": WHILE_RUNNING,
    "multiprocessing by fork": POOL,
    "a DataLoader's workers": LOADER,
    "torch ops": TORCH,
    "a recogniser": STREAM,
    "pickled for another process": SPAWN,
    "a process whose memory is limited": LIMITED,
    "Ctrl-C in a large run": INTERRUPTED,
}


def ended(script: str, path: Path) -> str:
    """How a Python process ends that runs the script on a model file: what it wrote, "0" for a good end."""
    command = [sys.executable, "-X", "faulthandler", "-c", COMMON + script, str(path)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired as error:
        return f"no end after {SECONDS} s: {error.stderr!r}"
    return "0" if done.returncode == 0 else f"{done.returncode}: {done.stderr[-3000:]}"


@pytest.mark.parametrize("name", SCRIPTS)
def test_engines_and_processes(shrec, name):
    if name == "torch ops":
        from adasgn_edge.errors import EngineError

        pytest.importorskip("adasgn_edge.torch_ops", exc_type=EngineError, reason="the torch ops are not built")
    assert ended(SCRIPTS[name], shrec.path) == "0"
