"""Importing the package is quick and pulls in nothing that a robot does not need."""

import subprocess
import sys

HEAVY = ("torch", "pydantic", "safetensors", "rich", "typer", "matplotlib", "scipy")


def imported(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint('\\n' + ' '.join(sys.modules))"
    output = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    return {name.partition(".")[0] for name in output.splitlines()[-1].split()}


def test_package_and_lower_layers_need_numpy_alone():
    code = (
        "import adasgn_edge, adasgn_edge.skeletons, adasgn_edge.data.preprocess, adasgn_edge.data.recordings, "
        "adasgn_edge.data.registry, adasgn_edge.hands, adasgn_edge.model.config, adasgn_edge.model.cost, "
        "adasgn_edge.model_file, adasgn_edge.replay"
    )
    assert not imported(code) & set(HEAVY)


def test_help_does_not_load_torch():
    code = (
        "import sys; sys.argv = ['adasgn-edge', '--help']\n"
        "from adasgn_edge.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass"
    )
    assert "torch" not in imported(code)
