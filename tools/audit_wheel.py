"""What a wheel of this package may contain and need; with --run, whether it works where nothing else is.

    python tools/audit_wheel.py [--run] dist/*.whl                               (make wheels, make test-wheel)

Of each wheel: its tags are those of the modules in it; there is no other native file; modules need only libraries
that every Linux or torch has, have no path to look for them, and are hardened (full RELRO, no executable stack, stack
protector, checked calls of the C library); nothing in the wheel tells where it was built; the licences of what is
compiled in are there; no file of the package is missing.
With --run: installed into a fresh environment, `doctor`, `classify` and `demo` do their work. Status 1 on a finding.
"""

from __future__ import annotations

import argparse
import re
import shutil
import struct
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from build_support.libstdcxx import read_elf  # noqa: E402

NATIVE, TORCH_OPS = "adasgn_edge/_native", "adasgn_edge/_torch_ops"
TENSORRT_PLUGIN = "adasgn_edge/libadasgn_tensorrt"
EVERYWHERE = {
    "libstdc++.so.6",
    "libm.so.6",
    "libgcc_s.so.1",
    "libc.so.6",
    "libpthread.so.0",
    "libdl.so.2",
    "librt.so.1",
}
LOADERS = re.compile(r"ld-linux-(x86-64\.so\.2|aarch64\.so\.1)")
OF_TORCH = {"libc10.so", "libtorch_cpu.so", "libc10_cuda.so", "libtorch_cuda.so"}
SUFFIXES = {".py", ".json", ".toml", ".txt", ".adasgn", ".safetensors", ".typed", ".so", ".md"}
"""Of the package's files; .dist-info has its own."""
REQUIRED = ("adasgn_edge/_build.json", "adasgn_edge/py.typed", "adasgn_edge/layouts/shrec22.json")
LICENCES = ("Apache License", "Niels Lohmann", "Wenzel Jakob")
"""What the licences say: of this package, of nlohmann/json, of pybind11."""
BUILD_PATHS = re.compile(
    rb"(?:/(?:home|root|tmp|build|work|mnt|opt|Users|github|project)/|/usr/(?:local|src)/)[\w.+/-]+"
)
TOLD = re.compile(rb"/usr/local/cuda(?:/bin)?$|/tmp/$|/opt/rocm")
"""Paths that a module looks at where it runs: the CUDA runtime's."""

# ELF of 64 bits, little-endian: the header's table of segments, a segment, an entry of the dynamic section.
_HEADER = struct.Struct("<16xHHIQQQIHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_ENTRY = struct.Struct("<qQ")
_DYNAMIC, _RELRO, _STACK, _EXECUTABLE = 2, 0x6474E552, 0x6474E551, 1
_RPATH, _RUNPATH, _TEXTREL = 15, 29, 22
_BIND_NOW, _FLAGS, _FLAGS_1 = 24, 30, 0x6FFFFFFB
_FLAGS_BIND_NOW, _FLAGS_1_NOW = 8, 1


def audit(wheel: Path) -> Iterator[str]:
    """What is wrong with a wheel."""
    name = r"adasgn_edge-([\w.]+)-(cp\d+)-(cp\d+)-(?:many|musl)?linux\w*\.whl"
    match = re.fullmatch(name, wheel.name)
    if match is None:
        yield "expected a name like adasgn_edge-1.2.3-cp311-cp311-linux_x86_64.whl"
        return
    version, python, abi = match.groups()
    if python != abi:
        yield f"tags: expected one ABI, found Python {python} and ABI {abi}"
    with zipfile.ZipFile(wheel) as archive:
        contents = {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}
    folder = f"adasgn_edge-{version}.dist-info"
    if f"Tag: {'-'.join(wheel.stem.split('-')[2:])}" not in contents.get(f"{folder}/WHEEL", b"").decode():
        yield "tags: expected those of the name in WHEEL, found others"
    yield from _files(contents, folder)
    modules = {name: data for name, data in contents.items() if name.endswith(".so")}
    for name, data in modules.items():
        stem, _, rest = name.partition(".")
        digits = python.removeprefix("cp")
        if stem not in (NATIVE, TORCH_OPS, TENSORRT_PLUGIN):
            yield f"{name}: expected no module but _native, _torch_ops and libadasgn_tensorrt"
        elif stem == TENSORRT_PLUGIN and rest != "so":  # no module of Python's
            yield f"{name}: expected {TENSORRT_PLUGIN}.so"
        elif stem != TENSORRT_PLUGIN and not rest.startswith(f"cpython-{digits}-"):
            yield f"{name}: expected the ABI {abi} of the wheel"
        else:
            yield from (f"{name}: {finding}" for finding in _module(stem, data))
    if not any(name.startswith(NATIVE) for name in modules):
        yield "expected the native engine, found none: was the wheel built without a compiler?"


def _files(contents: dict[str, bytes], folder: str) -> Iterator[str]:
    for name in contents:
        path = PurePosixPath(name)
        if path.parts[0] not in ("adasgn_edge", folder):
            yield f"{name}: expected nothing but the package, found another folder"
        elif path.parts[0] == "adasgn_edge" and path.suffix not in SUFFIXES:
            yield f"{name}: expected files of {', '.join(sorted(SUFFIXES))}"
    sources = {path.relative_to(ROOT).as_posix() for path in (ROOT / "adasgn_edge").rglob("*.py")}
    for name in sorted({*REQUIRED, *sources} - set(contents)):
        yield f"{name}: expected in the wheel, found not"
    if not any(name.startswith("adasgn_edge/weights/") and name.endswith(".adasgn") for name in contents):
        yield "expected a trained model, found none"
    licences = [
        data.decode(errors="replace")
        for name, data in contents.items()
        if name.startswith(folder) and "LICENSE" in name
    ]
    for text in LICENCES:
        if not any(text in said for said in licences):
            yield f"licences: expected one that says {text!r}, found none"
    for name, data in contents.items():
        found = {match[0] for match in BUILD_PATHS.finditer(data)} if name.endswith((".so", "_build.json")) else set()
        if told := sorted(path.decode() for path in found if not TOLD.match(path)):
            yield f"{name}: expected no path of the building machine, found {', '.join(told[:3])}"


def _module(stem: str, data: bytes) -> Iterator[str]:
    """What is wrong with a linked module."""
    allowed = EVERYWHERE | OF_TORCH if stem == TORCH_OPS else EVERYWHERE
    linked = read_elf(data, stem)
    for library in linked.needed:
        if library not in allowed and not LOADERS.fullmatch(library):
            yield f"expected to need only {', '.join(sorted(allowed))}, found {library}"
    # What -fstack-protector-strong calls; what -D_FORTIFY_SOURCE makes of snprintf, which numbers in messages are
    # written by.
    if "__stack_chk_fail" not in linked.taken:
        yield "expected functions that guard their stack (-fstack-protector-strong), found none"
    if "__snprintf_chk" not in linked.taken:
        yield "expected checked calls of the C library (-D_FORTIFY_SOURCE=2), found none"
    header = _HEADER.unpack_from(data)
    start, size, count = header[4], header[8], header[9]
    segments = [_SEGMENT.unpack_from(data, start + size * place) for place in range(count)]
    kinds = {segment[0] for segment in segments}
    if _RELRO not in kinds:
        yield "expected relocations that are read-only afterwards (RELRO), found none"
    if any(kind == _STACK and flags & _EXECUTABLE for kind, flags, *_ in segments):
        yield "expected a stack that is not executable"
    for kind, _, offset, _, _, length, _, _ in segments:
        if kind == _DYNAMIC:
            entries = dict(_ENTRY.iter_unpack(data[offset : offset + length]))
            tags = set(entries)
            now = entries.get(_FLAGS, 0) & _FLAGS_BIND_NOW or entries.get(_FLAGS_1, 0) & _FLAGS_1_NOW
            if not now and _BIND_NOW not in tags:
                yield "expected symbols that are bound at once (full RELRO: -z now), found that they are bound later"
            if tags & {_RPATH, _RUNPATH}:
                yield "expected no path to look for libraries (RPATH), found one"
            if _TEXTREL in tags:
                yield "expected code that is not relocated (TEXTREL)"


def oldest(wheel: Path) -> str:
    """The oldest glibc and libstdc++ that have all the symbols which a wheel's modules take."""
    with zipfile.ZipFile(wheel) as archive:
        data = b"".join(archive.read(name) for name in archive.namelist() if name.endswith(".so"))
    found = []
    for name in ("GLIBC", "GLIBCXX"):
        versions = re.findall(rf"{name}_(\d+(?:\.\d+)+)\0".encode(), data)
        newest = max(versions, key=lambda version: [int(part) for part in version.split(b".")], default=b"none")
        found.append(f"{name} {newest.decode()}")
    return ", ".join(found)


def run(wheel: Path, python: str, folder: Path) -> None:
    """Install a wheel where nothing else is, and use it; CalledProcessError if that fails."""
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([python, "-m", "venv", str(folder)], check=True)
    pip = [folder / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*map(str, pip), f"{wheel}[cli]"], check=True)
    clip = "from adasgn_edge.hands import animate; import numpy; numpy.savez('clip.npz', positions=animate('Tap'))"
    commands = (
        ("python", "-c", clip),
        ("adasgn-edge", "doctor"),
        ("adasgn-edge", "classify", "clip.npz"),
        ("adasgn-edge", "demo"),
    )
    for program, *arguments in commands:
        done = subprocess.run(
            [str(folder / "bin" / program), *arguments],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode:
            print(done.stdout)
            done.check_returncode()
        if arguments[0] == "classify" and "Tap" not in done.stdout:
            raise SystemExit(f"{wheel.name}: classify: expected the gesture Tap, found\n{done.stdout}")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheels", type=Path, nargs="+")
    parser.add_argument("--run", action="store_true", help="install and use them as well, each with its own Python")
    options = parser.parse_args(arguments)
    wrong = 0
    for wheel in options.wheels:
        findings = list(audit(wheel))
        wrong += len(findings)
        print(f"{wheel.name} (needs {oldest(wheel)}):", *(findings or ["ok"]), sep="\n    ", flush=True)
        if options.run and not findings:
            tag = wheel.name.split("-")[2]
            version = f"{tag[2]}.{tag[3:]}"
            python = sys.executable if version == "{}.{}".format(*sys.version_info) else f"python{version}"
            run(wheel.resolve(), python, ROOT / "build" / "wheels" / f"run-{version}")
            print("    installed alone: doctor, classify and demo run", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
