"""Importing the package is quick and pulls in nothing that a robot does not need."""

import subprocess
import sys

import numpy as np
import pytest

from adasgn_edge.hands import animate

HEAVY = ("torch", "pydantic", "safetensors", "rich", "typer", "matplotlib", "scipy")


def imported(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint('\\n' + ' '.join(sys.modules))"
    output = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    return {name.partition(".")[0] for name in output.splitlines()[-1].split()}


def test_package_and_lower_layers_need_numpy_alone():
    code = (
        "import adasgn_edge, adasgn_edge.skeletons, adasgn_edge.data.preprocess, adasgn_edge.data.recordings, "
        "adasgn_edge.data.registry, adasgn_edge.hands, adasgn_edge.model.config, adasgn_edge.model.cost, "
        "adasgn_edge.deploy.model_file, adasgn_edge.replay"
    )
    assert not imported(code) & set(HEAVY)


def test_what_the_package_offers_is_listed():
    code = (
        "import sys, adasgn_edge\n"
        "assert set(adasgn_edge.__all__) <= set(dir(adasgn_edge)), dir(adasgn_edge)\n"
        "assert 'adasgn_edge.engine' not in sys.modules"
    )
    assert "adasgn_edge" in imported(code)


def test_help_does_not_load_torch():
    code = (
        "import sys; sys.argv = ['adasgn-edge', '--help']\n"
        "from adasgn_edge.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass"
    )
    assert "torch" not in imported(code)


def test_clips_are_classified_and_the_demo_plays_without_torch(tmp_path):
    pytest.importorskip("adasgn_edge._native", reason="the native engine is not built")
    clip = tmp_path / "clip.npz"
    np.savez(clip, positions=animate("Swipe V", seed=4))
    for arguments in (["classify", str(clip)], ["demo", "--count", "2", "--no-live"]):
        code = (
            f"import sys; sys.argv = ['adasgn-edge', *{arguments}]; sys.modules['torch'] = None\n"
            "from adasgn_edge.cli import main\n"
            "try:\n    main()\nexcept SystemExit as stop:\n    assert not stop.code, stop.code"
        )
        assert not imported(code) & {"safetensors", "matplotlib", "scipy"}  # typer looks for pydantic itself
