"""Run the C++ example on the shipped model with two processors and compare what it prints.

    python tests/cpp/compare_example.py EXAMPLE OTHER_EXAMPLE...

EXAMPLE is ``classify_clip`` of this processor, OTHER_EXAMPLE the command that runs another's, emulator first. The clips
are one of each gesture that ``adasgn_edge.hands`` performs. Label and branches must be equal, and the confidence to 0.1
per cent, the last digit that is printed.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from adasgn_edge.data.preprocess import make_clip
from adasgn_edge.deploy.export import to_model_file
from adasgn_edge.deploy.model_file import write_model_file
from adasgn_edge.hands import GESTURES, animate
from adasgn_edge.model.weights import load_weights, shipped_weights


def printed(command: list[str]) -> tuple[str, float, str]:
    """Label, confidence in per cent, branches."""
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    match = re.fullmatch(r"(.+)  (\d+\.\d) %\nbranches:((?: [PSB]-\d+)+)\n", output)
    assert match, f"expected label, confidence and branches, found {output!r}"
    return match[1], float(match[2]), match[3]


def main() -> int:
    example, other = sys.argv[1:2], sys.argv[2:]
    trained = load_weights(shipped_weights())
    frames = trained.model.config.frames
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        model, file = Path(folder, "model.adasgn"), Path(folder, "clip.f32")
        write_model_file(model, to_model_file(trained))
        for gesture in GESTURES:
            make_clip(animate(gesture), trained.layout, frames, trained.stream).astype("<f4").tofile(file)
            here, there = (printed([*command, str(model), str(file)]) for command in (example, other))
            equal = here[0] == there[0] and here[2] == there[2] and abs(here[1] - there[1]) < 0.15
            wrong += not equal
            print(f"{'equal' if equal else 'DIFFERENT':9}  {here[0]} {here[1]} %{here[2]}", flush=True)
            if not equal:
                print(f"{'':9}  {there[0]} {there[1]} %{there[2]}")
    print(f"{len(GESTURES) - wrong} of {len(GESTURES)} clips alike on both processors")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
