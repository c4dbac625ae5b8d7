"""The installed C++ package as other projects use it: built static, shared and without CUDA, installed, found, linked.

    python tests/cpp/check_package.py [--folder build/package]

Each kind is installed to a prefix of its own; then examples/cpp is built from there as a project that knows nothing of
this source tree and, with nvcc out of reach, classifies a clip, replays a stream and drives a robot. With nvcc at hand
the CUDA engine is in it, too; its kernels are compiled without optimisation, because here they are linked and not
measured. Exit status 1 on a finding.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import adasgn_edge  # noqa: E402
from adasgn_edge.data.description import described  # noqa: E402
from adasgn_edge.data.preprocess import make_clip  # noqa: E402
from adasgn_edge.data.sources import load_source  # noqa: E402
from adasgn_edge.data.stream_frames import FrameParser  # noqa: E402
from adasgn_edge.hands import GESTURES, animate, perform  # noqa: E402
from adasgn_edge.skeletons import load_layout  # noqa: E402
from build_support.cuda import find_nvcc  # noqa: E402
from tests.causal_models import write_causal  # noqa: E402
from tests.examples.recorded_stream import COMMANDS, write_recording  # noqa: E402

NO_GPU = "device: expected a GPU, found none that the driver shows, or no driver"
NO_PART = "built without the CUDA engine"

VERSION_PROGRAM = """\
#include <adasgn/version.h>
#include <cstdio>
#if ADASGN_VERSION_NUMBER != 10000 * ADASGN_VERSION_MAJOR + 100 * ADASGN_VERSION_MINOR + ADASGN_VERSION_PATCH
#error numbers that do not fit together
#endif
#include <string_view>
static_assert(std::string_view(ADASGN_VERSION) == "{version}");
int main() {{
    std::puts(adasgn::version());
}}
"""


class PackageError(Exception):
    """What is wrong with the package."""


def expect(right: bool, what: str) -> None:
    """Raise PackageError unless all is well."""
    if not right:
        raise PackageError(what)


def run(*command: object, environment: dict[str, str] | None = None, fails: bool = False) -> str:
    """Output of a command that must succeed, or with `fails` must not."""
    print("$", *command, flush=True)
    done = subprocess.run(
        list(map(str, command)), env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    expect((done.returncode != 0) == fails, f"{command[0]}: exit status {done.returncode}\n{done.stdout[-4000:]}")
    return done.stdout


def without_nvcc() -> dict[str, str]:
    """This environment, with nothing in it that leads to nvcc; cmake and the compilers of /usr stay."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CUDA")}
    path = [folder for folder in kept["PATH"].split(os.pathsep) if not Path(folder, "nvcc").exists()]
    return {**kept, "PATH": os.pathsep.join(path)}


def install(folder: Path, kind: str, options: Sequence[str], jobs: int) -> Path:
    """Configure, build and install the library; all kinds share a build folder, and so most of the objects."""
    build, prefix = folder / "build", folder / kind
    shutil.rmtree(prefix, ignore_errors=True)
    run(
        *("cmake", "-S", ROOT, "-B", build, "-DADASGN_BUILD_TESTS=OFF", "-DADASGN_BUILD_EXAMPLES=OFF"),
        *("-DADASGN_WARNINGS_AS_ERRORS=ON", "-DCMAKE_CUDA_FLAGS=-Xcicc -O0 -Xptxas -O0", *options),
    )
    run("cmake", "--build", build, "--parallel", jobs)
    run("cmake", "--install", build, "--prefix", prefix)
    return prefix


def check_headers(prefix: Path, folder: Path) -> None:
    """Each header compiles by itself, with the prefix alone in sight."""
    compiler, source = os.environ.get("CXX", "c++"), folder / "header.cpp"
    for header in sorted((prefix / "include").rglob("*.h")):
        name = header.relative_to(prefix / "include").as_posix()
        source.write_text(f"#include <{name}>\n#include <{name}>\n")
        run(compiler, "-std=c++17", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", f"-I{prefix / 'include'}", source)


def check_version(prefix: Path, folder: Path) -> None:
    """The header's version and the library's are the Python package's."""
    source, program = folder / "version.cpp", folder / "version"
    source.write_text(VERSION_PROGRAM.format(version=adasgn_edge.__version__))
    library = next(path for path in prefix.glob("lib*/**/libadasgn_edge.*") if path.suffix in (".a", ".so"))
    options = ["-std=c++17", f"-I{prefix / 'include'}", source, library, f"-Wl,-rpath,{library.parent}", "-lpthread"]
    run(os.environ.get("CXX", "c++"), *options, "-o", program)
    said = run(program)
    expect(said == f"{adasgn_edge.__version__}\n", f"adasgn::version(): expected the package's, found {said!r}")


def configure(prefix: Path, project: Path, request: str, *, fails: bool = False) -> str:
    """Output of configuring a project that asks for the package in this way."""
    shutil.rmtree(project, ignore_errors=True)
    project.mkdir()
    (project / "CMakeLists.txt").write_text(
        f"cmake_minimum_required(VERSION 3.22)\nproject(asks LANGUAGES CXX)\nfind_package(adasgn_edge {request})\n"
        'message(STATUS "found ${adasgn_edge_FOUND}, version ${adasgn_edge_VERSION}")\n'
        "foreach(part core cuda)\n  if(TARGET adasgn_edge::${part})\n"
        '    message(STATUS "has ${part}")\n  endif()\nendforeach()\n'
    )
    command = ("cmake", "-S", project, "-B", project / "build", f"-DCMAKE_PREFIX_PATH={prefix}")
    return run(*command, environment=without_nvcc(), fails=fails)


def check_components(prefix: Path, folder: Path, cuda: bool) -> None:
    """What find_package gives, and what it says where it gives nothing."""
    asks = folder / "asks"
    said = configure(prefix, asks, "REQUIRED")
    expect("has core" in said and "has cuda" not in said, f"find_package without components:\n{said}")
    expect(f"version {adasgn_edge.__version__}" in said, f"find_package: version\n{said}")
    said = " ".join(configure(prefix, asks, "REQUIRED COMPONENTS cuda", fails=not cuda).split())
    expect("has cuda" in said if cuda else "build it with -DADASGN_CUDA=ON" in said, f"component cuda:\n{said}")
    said = configure(prefix, asks, "REQUIRED OPTIONAL_COMPONENTS cuda")
    expect("has core" in said and ("has cuda" in said) == cuda, f"optional component cuda:\n{said}")
    for request in ("REQUIRED COMPONENTS tensorflow", "99.0 REQUIRED"):
        configure(prefix, asks, request, fails=True)


def check_example(prefix: Path, folder: Path, cuda: bool) -> None:
    """The example as a project of its own, on a clip that the Python package labels as well."""
    build = folder / "example"
    shutil.rmtree(build, ignore_errors=True)
    environment = without_nvcc()
    run("cmake", "-S", ROOT / "examples/cpp", "-B", build, f"-DCMAKE_PREFIX_PATH={prefix}", environment=environment)
    run("cmake", "--build", build, environment=environment)
    engine = adasgn_edge.load(adasgn_edge.shipped_model())
    model, file = engine.description, folder / "clip.f32"
    clip = make_clip(animate("Tap"), model.layout, model.frames, model.stream)
    clip.astype("<f4").tofile(file)
    result = engine.run(clip[None])
    label = model.class_names[result.logits[0].argmax()]
    branches = " ".join(model.branches[action] for action in result.actions[0])
    program = [build / "classify_clip", adasgn_edge.shipped_model(), file]
    for device in ([], ["--device", "cpu"]):
        said = run(program[0], *device, *program[1:])
        expect(re.match(re.escape(label) + r"  [\d.]+ %\n", said) is not None, f"expected {label}, found {said}")
        expect(said.endswith(f"branches: {branches}\n"), f"expected branches {branches}, found {said}")
    said = run(program[0], "--device", "cuda", *program[1:], fails=not (cuda and has_gpu()))
    expect(on_gpu(cuda, label) in said, f"--device cuda: {said}")
    run(program[0], "--device", "gpu", *program[1:], fails=True)


def has_gpu() -> bool:
    program = shutil.which("nvidia-smi")
    return program is not None and subprocess.run([program], capture_output=True).returncode == 0


def on_gpu(cuda: bool, result: str) -> str:
    """What a program says to --device cuda."""
    return NO_PART if not cuda else result if has_gpu() else NO_GPU


def leap_text(hand: np.ndarray) -> str:
    """A hand (L, 22, 3) of layout shrec22 as SHREC'21 has it: lines of 20 joints x;y;z and a quaternion."""
    layout, leap = load_layout("shrec22"), load_source("leap-20")
    copies = {next(iter(rule)): joint for joint, rule in leap.mappings["shrec22"].items() if len(rule) == 1}
    sensed = hand[:, [layout.index(copies[joint]) for joint in leap.joints]] * [2, 2, -2]
    rows = np.concatenate([sensed, np.zeros((*sensed.shape[:2], 4))], axis=-1).reshape(len(hand), -1)
    return "".join("".join(f"{number:.7g};" for number in row) + "\n" for row in rows)


def check_stream(folder: Path, cuda: bool) -> None:
    """The example that replays a sequence tells the gestures that the Python package tells, at the same moments."""
    model, file = write_causal(folder / "causal.adasgn"), folder / "sequence.txt"
    file.write_text(leap_text(perform([(gesture, False) for gesture in GESTURES[:5]], seed=2, rate=50.0).positions))
    program = folder / "example" / "replay_stream"
    expected = expected_lines(model, file)
    expect(len(expected) >= 4, f"replay_stream: expected a sequence with gestures, found {expected}")
    expect_lines(run(program, "--fast", model, file), expected)
    said = run(program, "--device", "cuda", "--fast", model, file, fails=not (cuda and has_gpu()))
    expect(on_gpu(cuda, "started") in said, f"replay_stream --device cuda: {said}")
    data = Path(os.environ.get("ADASGN_DATA") or ROOT.parent / "shared" / "data")
    recording = data / "SHREC21" / "as_distributed" / "4.txt"
    real, shipped = recording if recording.is_file() else file, adasgn_edge.shipped_model("stream")
    began = time.monotonic()
    said = run(program, shipped, real)
    seconds, frames = time.monotonic() - began, len(frame_lines(real))
    expect(seconds >= (frames - 1) / 50, f"replay_stream in real time: expected {frames / 50} s, found {seconds}")
    expect_lines(said, expected_lines(shipped, real))
    print(f"replay_stream of {real.name} in real time, {seconds:.1f} s:\n{said}", end="")
    file.write_text("1;2;3\n")
    expect("line 1: expected 140 numbers, found 3" in run(program, model, file, fails=True), "replay_stream: bad line")
    run(program, "--rate", "fast", model, file, fails=True)
    clips = adasgn_edge.shipped_model()
    expect("causal" in run(program, clips, file, fails=True), "replay_stream: a model for clips")


def expect_lines(said: str, expected: list[str]) -> None:
    found = [line.rpartition("  ")[0] for line in said.splitlines() if " s  " in line]
    expect(found == expected, f"replay_stream: expected {expected}, found\n{said}")


def frame_lines(file: Path) -> list[str]:
    return [line for line in file.read_text().splitlines() if line.strip()]


def expected_lines(model: Path, file: Path) -> list[str]:
    """What the example prints of a sequence at 50 Hz, but for how sure it is."""
    recogniser = adasgn_edge.Recogniser(model)
    layout = recogniser.description.layout
    parser = FrameParser(layout, described(layout, "leap-20", axes="source", side="right"))
    expected = []
    for number, line in enumerate(frame_lines(file)):
        numbers = [part for part in line.split(";") if part.strip()]
        joints = np.array(numbers, dtype=float).reshape(-1, 7)[:, :3]
        frame = parser.parse(json.dumps({"stamp_ns": 20_000_000 * number, "joints": joints.tolist()}))
        assert frame is not None
        for event in recogniser.push(frame.stamp_ns, {1: frame.tracks["0"]}).events:
            if event.kind != "held":
                label = recogniser.labels[event.label]
                expected.append(f"{1e-9 * event.decided_ns:8.2f} s  {event.kind:<7}  {label}")
    return expected


def check_robot_loop(folder: Path) -> None:
    """Both control loops give the same commands on a recorded stream, whatever the rate and the dead man's times."""
    recording, frames = write_recording(folder / "hands.jsonl"), folder / "hands.txt"
    script, program = ROOT / "examples" / "robot_loop.py", folder / "example" / "robot_loop"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def python(*arguments: object) -> str:
        command = [sys.executable, str(script), *map(str, arguments)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        expect(done.returncode == 0, f"robot_loop.py: exit status {done.returncode}\n{done.stderr}")
        return done.stdout

    def lines(said: str) -> list[str]:
        return [line for line in said.splitlines() if line.startswith("{")]

    frames.write_text(python(recording, "--as-text"))
    model = adasgn_edge.shipped_model("stream")
    for options in (
        [],
        ["--hz", "200", "--stale", "0.05"],
        ["--hz", "60", "--life", "0.12", "--stop-within", "0.1"],
        ["--confirm", "0.9"],
    ):
        expected = lines(python(recording, "--virtual", *COMMANDS, *options))
        found = lines(run(program, "--virtual", *COMMANDS, *options, model, frames))
        expect(any("driving" in line for line in expected), f"robot_loop.py {options}: expected a robot that drives")
        different = next((pair for pair in zip(expected, found, strict=False) if pair[0] != pair[1]), None)
        expect(found == expected, f"robot_loop {options}: {len(expected)} and {len(found)} commands, {different}")
    began = time.monotonic()
    said = run(program, *COMMANDS, model, frames)
    span = 0.02 * (len(frames.read_text().splitlines()) - 1)
    expect(time.monotonic() - began >= span, f"robot_loop in real time: expected {span} s or more")
    expect("page faults" in said and "deadlines missed" in said, f"robot_loop: report\n{said}")
    frames.write_text("1000 1 7 0.1 0.2\n")
    expect("line 1: expected a track's number and its joints" in run(program, model, frames, fails=True), "bad line")
    run(program, "--command", "Wave=0.1,0", model, frames, fails=True)
    expect("device: expected cpu, cuda" in run(program, "--device", "tpu", model, frames, fails=True), "device")


def check_names(prefix: Path, cuda: bool) -> None:
    """A shared library is found by its SONAME, which changes where the interface may."""
    major, minor, _ = adasgn_edge.__version__.split(".")
    for name in ("libadasgn_edge.so", *(["libadasgn_edge_cuda.so"] if cuda else [])):
        library = next(prefix.glob(f"lib*/**/{name}"))
        said = run("readelf", "-d", library)
        soname = f"{name}.{major}.{minor}"
        expect(f"Library soname: [{soname}]" in said, f"{name}: expected SONAME {soname}, found\n{said}")
        expect("libcudart" not in said, f"{name}: expected the CUDA runtime within, found\n{said}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "package")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    has_nvcc = isinstance(find_nvcc(os.environ), Path)
    print(f"with the CUDA engine: {'yes' if has_nvcc else 'no, as there is no nvcc'}")
    os.environ.setdefault("CUDAARCHS", "87")  # one is enough to link
    kinds = {
        "static": ("-DBUILD_SHARED_LIBS=OFF", f"-DADASGN_CUDA={'ON' if has_nvcc else 'AUTO'}"),
        "shared": ("-DBUILD_SHARED_LIBS=ON", f"-DADASGN_CUDA={'ON' if has_nvcc else 'AUTO'}"),
        "without-cuda": ("-DBUILD_SHARED_LIBS=OFF", "-DADASGN_CUDA=OFF"),
    }
    try:
        for kind, choices in kinds.items():
            cuda = has_nvcc and kind != "without-cuda"
            prefix = install(folder, kind, choices, options.jobs)
            expect((prefix / "include/adasgn/cuda").is_dir() == cuda, f"{kind}: headers of the CUDA engine")
            if kind != "shared":  # whose headers are the static one's
                check_headers(prefix, folder)
            check_version(prefix, folder)
            check_components(prefix, folder, cuda)
            check_example(prefix, folder, cuda)
            if kind == "shared":  # where something that is not exported would show
                check_stream(folder, cuda)
                check_robot_loop(folder)
                check_names(prefix, cuda)
            print(f"=== {kind}: ok", flush=True)
    except PackageError as finding:
        print(f"check_package: {finding}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
