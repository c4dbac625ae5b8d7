"""The torch ops' CUDA files fit torch's headers and the toolkit's, also where torch is made for the CPU alone."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from build_support.cuda import Toolkit, find_cuda
from build_support.torch_part import TorchHeaders, find_torch

ROOT = Path(__file__).parents[2]
SOURCES = [ROOT / "csrc/torch/engines.cpp", *sorted((ROOT / "csrc/torch/cuda").glob("*.cpp"))]
GENERATED = "c10/cuda/impl/cuda_cmake_macros.h"
"""Torch's build makes it and wheels for the CPU lack it; an empty one stands for a torch of shared libraries."""


@pytest.mark.slow
@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_source_compiles_without_warnings(source: Path, tmp_path: Path):
    toolkit = find_cuda(os.environ, sources=True)
    if not isinstance(toolkit, Toolkit):
        pytest.skip(f"no CUDA headers: {toolkit.reason}")
    torch = find_torch(os.environ)
    if not isinstance(torch, TorchHeaders):
        pytest.skip(f"no torch headers: {torch.reason}")
    if not (torch.folder / "include/c10/cuda/CUDAStream.h").is_file():
        pytest.skip(f"torch {torch.version} comes without the headers of its CUDA part")
    compiler = shutil.which(os.environ.get("CXX", "g++"))
    if compiler is None:
        pytest.skip("no C++ compiler")
    if not (torch.folder / "include" / GENERATED).is_file():
        (tmp_path / GENERATED).parent.mkdir(parents=True)
        (tmp_path / GENERATED).touch()
    outside = [tmp_path, toolkit.include, ROOT / "third_party"]
    command = [
        compiler, "-fsyntax-only", "-std=c++17", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Werror",
        "-DADASGN_CUDA", f"-I{ROOT / 'csrc'}", f"-I{ROOT / 'kernels'}", *(f"-isystem{one}" for one in outside),
        *torch.flags, *torch.string_flags, str(source),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
