"""Text tables: every dialect gives the same numbers, columns go by their names, what is unclear is a named error."""

from __future__ import annotations

import csv
import gzip
import io
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adasgn_edge.data import reading
from adasgn_edge.data.clips import read_bodies, read_clip
from adasgn_edge.data.sources import load_source
from adasgn_edge.errors import AdaSGNError, DatasetError
from adasgn_edge.skeletons import load_layout
from tests.data.written_tables import CLIP, LAYOUT, NAMES, OTHER, ROWS, V, bodies, check, refuse, write


def text_of(**options: object) -> str:
    """The clip written by Python's csv module, with a header."""
    stream = io.StringIO()
    csv.writer(stream, **{"lineterminator": "\n", **options}).writerows([NAMES, *ROWS])  # type: ignore[arg-type]
    return stream.getvalue()


def decimal_commas(text: str) -> str:
    return text.replace(".", ",")


DIALECTS: dict[str, Callable[[], bytes]] = {
    "comma": lambda: text_of().encode(),
    "comma and blank": lambda: text_of().replace(",", ", ").encode(),
    "blanks around commas": lambda: text_of().replace(",", " , ").encode(),
    "semicolon": lambda: text_of(delimiter=";").encode(),
    "semicolon and blank": lambda: text_of(delimiter=";").replace(";", "; ").encode(),
    "tab": lambda: text_of(delimiter="\t").encode(),
    "bar": lambda: text_of(delimiter="|").encode(),
    "blank": lambda: text_of(delimiter=" ").encode(),
    "blanks": lambda: text_of(delimiter=" ").replace(" ", "   ").replace("\n", "\n  ").encode(),
    "blanks and tabs": lambda: text_of(delimiter=" ").replace(" 0", "\t0").encode(),
    "semicolon, decimal comma": lambda: decimal_commas(text_of(delimiter=";")).encode(),
    "tab, decimal comma": lambda: decimal_commas(text_of(delimiter="\t")).encode(),
    "blank, decimal comma": lambda: decimal_commas(text_of(delimiter=" ")).encode(),
    "quoted decimal comma between commas": lambda: (
        "\n".join(",".join(f'"{decimal_commas(cell)}"' for cell in row) for row in [NAMES, *ROWS]).encode()
    ),
    "quotes": lambda: text_of(quoting=csv.QUOTE_ALL).encode(),
    "quotes and semicolons": lambda: text_of(quoting=csv.QUOTE_ALL, delimiter=";").encode(),
    "trailing comma": lambda: text_of().replace("\n", ",\n").encode(),
    "trailing comma in the rows alone": lambda: text_of().replace("\n", ",\n").replace("_z,\n", "_z\n", 1).encode(),
    "trailing semicolons": lambda: text_of(delimiter=";").replace("\n", ";;;\n").encode(),
    "trailing tab": lambda: text_of(delimiter="\t").replace("\n", "\t\n").encode(),
    "crlf": lambda: text_of(lineterminator="\r\n").encode(),
    "cr": lambda: text_of(lineterminator="\r").encode(),
    "bom": lambda: text_of().encode("utf-8-sig"),
    "utf-16": lambda: text_of(delimiter="\t").encode("utf-16"),
    "utf-16 big-endian": lambda: b"\xfe\xff" + text_of().encode("utf-16-be"),
    "utf-32": lambda: text_of().encode("utf-32"),
    "comments": lambda: b"# recorded today\n% by, anna\n\n// \xc3\xa4\n" + text_of().encode(),
    "comment between": lambda: text_of().replace("_z\n", "_z\n# start\n\n", 1).encode() + b"# end\n\n\n",
    "excel's sep": lambda: b"sep=;\n" + text_of(delimiter=";").encode(),
    "exponents": lambda: "\n".join(",".join(f"{float(cell):.6e}" for cell in row) for row in ROWS).encode(),
    "no last newline": lambda: text_of().rstrip("\n").encode(),
    "units in the next line": lambda: text_of().replace("_z\n", "_z\n" + ",".join("m" * 3 * V) + "\n", 1).encode(),
    "units in brackets": lambda: text_of().replace("_x,", "_x [m],").replace("_y,", "_y [m],").replace("_z,", "_z [m],")
    .replace("_z\n", "_z [m]\n").encode(),
}  # fmt: skip


@pytest.mark.parametrize("ending", [".csv", ".txt", ".TSV"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_gives_the_same_numbers(tmp_path: Path, dialect: str, ending: str) -> None:
    path = tmp_path / f"clip{ending}"
    path.write_bytes(DIALECTS[dialect]())
    body = check(path)
    assert body.frames.tolist() == list(range(len(CLIP)))


@pytest.mark.parametrize("dialect", ["comma", "semicolon, decimal comma", "blank, decimal comma", "tab", "utf-16"])
def test_without_a_header(tmp_path: Path, dialect: str) -> None:
    path = tmp_path / "clip.csv"
    content = DIALECTS[dialect]()
    encoding = "utf-16" if dialect == "utf-16" else "utf-8"
    path.write_bytes(content.decode(encoding).split("\n", 1)[1].encode(encoding))
    check(path)
    with gzip.open(tmp_path / "clip.csv.GZ", "wb") as file:
        file.write(path.read_bytes())
    check(tmp_path / "clip.csv.GZ")


def spelled(spell: Callable[[str, str], str]) -> list[str]:
    return [spell(joint, axis) for joint in LAYOUT.joints for axis in "xyz"]


def camel(joint: str) -> str:
    return "".join(word.capitalize() for word in joint.split("_"))


SPELLINGS: dict[str, Callable[[str, str], str]] = {
    "prefix": lambda joint, axis: f"{axis}_{joint}",
    "capital": lambda joint, axis: f"{joint}_{axis}".upper(),
    "point": lambda joint, axis: f"{joint.upper()}.{axis.upper()}",
    "camel": lambda joint, axis: f"{camel(joint)}{axis.upper()}",
    "camel and separator": lambda joint, axis: f"{camel(joint)}_{axis}",
    "none": lambda joint, axis: f"{joint.replace('_', '')}{axis}",
    "blanks": lambda joint, axis: f"{joint.replace('_', ' ')} {axis}",
    "dashes": lambda joint, axis: f"{joint.replace('_', '-')}-{axis}",
    "position": lambda joint, axis: f"{joint}_pos_{axis}",
    "pos with axis": lambda joint, axis: f"{joint}_pos{axis.upper()}",
    "path": lambda joint, axis: f"/hand_0/{joint}/position/{axis}".replace("/hand_0", ""),
    "brackets": lambda joint, axis: f"{joint}[{axis}]",
    "pinky": lambda joint, axis: f"{joint.replace('little', 'pinky')}_{axis}",
    "millimetres' mark without effect on metres": lambda joint, axis: f"{joint}_{axis} (m)",
    "number": lambda joint, axis: f"{axis}{LAYOUT.index(joint)}",
    "number from 1": lambda joint, axis: f"{axis}{LAYOUT.index(joint) + 1}",
    "joint_0_x": lambda joint, axis: f"joint_{LAYOUT.index(joint)}_{axis}",
    "j00x": lambda joint, axis: f"j{LAYOUT.index(joint):02}{axis}",
    "0_x": lambda joint, axis: f"{LAYOUT.index(joint)}_{axis}",
    "landmark[0].x": lambda joint, axis: f"landmark[{LAYOUT.index(joint)}].{axis}",
    "pandas' repeated x": lambda joint, axis: f"{axis}.{LAYOUT.index(joint)}".removesuffix(".0"),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_columns_go_by_their_names_in_any_order(tmp_path: Path, spelling: str) -> None:
    header = spelled(SPELLINGS[spelling])
    check(write(tmp_path / "clip.csv", ROWS, header))
    order = np.random.default_rng(0).permutation(3 * V)
    if spelling == "pandas' repeated x":
        order = np.arange(3 * V).reshape(V, 3).T.ravel()
    mixed = [[row[place] for place in order] for row in ROWS]
    check(write(tmp_path / "mixed.tsv", mixed, [header[place] for place in order], "\t"))


def test_axis_major_columns(tmp_path: Path) -> None:
    order = np.arange(3 * V).reshape(V, 3).T.ravel()
    header = [NAMES[place] for place in order]
    check(write(tmp_path / "clip.csv", [[row[place] for place in order] for row in ROWS], header))
    rows = [[str(frame), *(row[place] for place in order)] for frame, row in enumerate(ROWS)]
    more = write(tmp_path / "comments.txt", rows, ["#frame", *header], " ")
    more.write_text("# by anna\n" + more.read_text().replace("\n", "\n# 30 frames a second\n", 1))
    check(more)
    check(write(tmp_path / "clip.txt", rows, ["#frame", *header], " "))  # names in a comment, as numpy.savetxt writes
    with (tmp_path / "savetxt.csv").open("w") as file:
        np.savetxt(file, CLIP.reshape(len(CLIP), -1)[:, order], fmt="%.5f", header=",".join(header))
    check(tmp_path / "savetxt.csv")


@pytest.mark.parametrize("layout", ["ntu25", "kinect20"])
def test_sides_are_found_in_front_and_behind(tmp_path: Path, layout: str) -> None:
    joints = load_layout(layout).joints
    positions = np.random.default_rng(1).normal(size=(3, len(joints), 3)).round(4)
    rows = positions.reshape(3, -1)

    def turned(joint: str) -> str:
        side, _, rest = joint.partition("_")
        return camel(f"{rest}_{side}") if side in ("left", "right") else camel(joint)

    for spell in (lambda joint: joint, turned, lambda joint: joint.replace("left", "l").replace("right", "R")):
        header = [f"{spell(joint)}_{axis}" for joint in joints for axis in "XYZ"]
        path = write(tmp_path / "clip.csv", rows, header)
        (body,) = read_bodies(path, layout)
        np.testing.assert_allclose(body.positions, positions, atol=1e-6)


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("prefix", ["", "c", "V", "col_", "Column"])
def test_numbered_columns_are_a_header(tmp_path: Path, prefix: str, first: int) -> None:
    header = [f"{prefix}{number + first}" for number in range(3 * V)]
    check(write(tmp_path / "clip.csv", ROWS, header))
    indexed = [[number, *row] for number, row in enumerate(ROWS)]
    for name in ("", "Unnamed: 0", "index", '""'):
        check(write(tmp_path / "indexed.csv", indexed, [name, *header]))
    check(write(tmp_path / "semicolons.csv", ROWS, header, ";"))


def test_counted_floats_and_further_columns_beside_numbers(tmp_path: Path) -> None:
    check(write(tmp_path / "clip.csv", ROWS, [f"{number}.0" for number in range(3 * V)]))
    rows = [[number, *row, "up"] for number, row in enumerate(ROWS)]
    check(write(tmp_path / "more.csv", rows, ["frame", *map(str, range(3 * V)), "label"]))


@pytest.mark.parametrize("prefix", ["hand_", "right_", "field.hand.", "Skeleton1/", "hand_0_"])
def test_one_prefix_for_all_columns(tmp_path: Path, prefix: str) -> None:
    rows = [[number, *row] for number, row in enumerate(ROWS)]
    check(write(tmp_path / "clip.csv", rows, ["frame", *(prefix + name for name in NAMES)]))
    numbers = [f"{prefix}landmark_{joint}_{axis}" for joint in range(V) for axis in "xyz"]
    check(write(tmp_path / "numbers.csv", ROWS, numbers))


@pytest.mark.parametrize("prefixes", [("left_", "right_"), ("hand_0_", "hand_1_"), ("p1_joint", "p2_joint")])
def test_persons_side_by_side_are_named(tmp_path: Path, prefixes: tuple[str, str]) -> None:
    """Numbered persons and joints too: hand_1_landmark_0 is not hand_landmark_10."""
    numbers = [f"{prefix}{joint}_{axis}" for prefix in prefixes for joint in range(V) for axis in "xyz"]
    path = write(tmp_path / "numbers.csv", [row * 2 for row in ROWS], numbers)
    refuse(path, "expected one person in a row, found 2 side by side: .*; write a row for each")
    if prefixes[0] == "left_":
        names = [prefix + name for prefix in prefixes for name in NAMES]
        refuse(write(tmp_path / "clip.csv", [row * 2 for row in ROWS], names), "found 2 side by side: left, right")


def test_velocities_with_one_prefix_are_no_positions(tmp_path: Path) -> None:
    refuse(write(tmp_path / "clip.csv", ROWS, [f"velocity_{name}" for name in NAMES]), "expected columns x, y, z")


def test_numbers_that_do_not_count_are_a_frame(tmp_path: Path) -> None:
    rows = np.round(CLIP.reshape(len(CLIP), -1) * 1000).astype(int)  # whole millimetres
    (body,) = bodies(write(tmp_path / "clip.csv", rows))
    assert len(body.frames) == len(CLIP)


def test_header_lines_of_pandas_levels_and_units(tmp_path: Path) -> None:
    joints = [joint for joint in LAYOUT.joints for _ in "xyz"]
    axes = list("xyz") * V
    check(write(tmp_path / "clip.csv", [joints, axes, *ROWS]))
    merged = [joint if place % 3 == 0 else "" for place, joint in enumerate(joints)]
    check(write(tmp_path / "merged.csv", [merged, axes, *ROWS]))
    indexed = [["", *joints], ["", *axes], ["frame", *[""] * (3 * V)], *([n, *row] for n, row in enumerate(ROWS))]
    check(write(tmp_path / "indexed.csv", indexed))
    lab = [["scorer", *["net"] * (3 * V)], ["bodyparts", *joints], ["coords", *axes]]
    check(write(tmp_path / "deeplabcut.csv", [*lab, *([n, *row] for n, row in enumerate(ROWS))]))
    check(write(tmp_path / "xyz.csv", ROWS, axes))
    r_names = write(tmp_path / "r.txt", [[f'"{n + 1}"', *row] for n, row in enumerate(ROWS)], NAMES, " ")
    check(r_names)


def test_units_are_applied_or_named(tmp_path: Path) -> None:
    rows = CLIP.reshape(len(CLIP), -1) * 1000
    for header in (
        [f"{name} (mm)" for name in NAMES],
        [f"{name}_mm" for name in NAMES],
        [f"{name}[mm]" for name in NAMES],
    ):
        check(write(tmp_path / "clip.csv", rows, header))
    check(write(tmp_path / "second.csv", [["mm"] * len(NAMES), *rows], NAMES))
    timed = [["s", *["mm"] * len(NAMES)], *([number / 30, *row] for number, row in enumerate(rows))]
    check(write(tmp_path / "timed.csv", timed, ["time", *NAMES]))
    refuse(write(tmp_path / "px.csv", [["px"] * len(NAMES), *rows], NAMES), "expected one unit of length .* found px")
    mixed = ["mm"] * 5 + ["m"] * (len(NAMES) - 5)
    refuse(write(tmp_path / "mixed.csv", [mixed, *rows], NAMES), "expected one unit of length .* found m, mm")


MISSING_WORDS = ["", "nan", "NaN", "NAN", "null", "None", "NA", "N/A", "-", "#N/A", "<NA>", "-nan"]


@pytest.mark.parametrize("word", MISSING_WORDS)
@pytest.mark.parametrize("place", [0, 13, 3 * V - 1])
def test_missing_cells_are_missing_joints(tmp_path: Path, word: str, place: int) -> None:
    rows = [list(row) for row in ROWS]
    rows[5][place] = word
    expected = CLIP.copy()
    expected[5, place // 3] = np.nan
    for sep in (",", "\t"):
        check(write(tmp_path / "clip.csv", rows, NAMES, sep), expected)
        check(write(tmp_path / "plain.csv", rows, None, sep), expected)
    comma = [[cell.replace(".", ",") for cell in row] for row in rows]
    check(write(tmp_path / "comma.csv", comma, None, ";"), expected)


def test_a_joint_that_is_never_there_at_the_end_of_the_rows(tmp_path: Path) -> None:
    rows = [[*row[:-3], "", "", ""] for row in ROWS]
    expected = CLIP.copy()
    expected[:, -1] = np.nan
    check(write(tmp_path / "clip.csv", rows), expected)
    check(write(tmp_path / "named.csv", rows, NAMES), expected)


def test_a_row_without_any_joint_is_a_frame_without_the_person(tmp_path: Path) -> None:
    rows = [list(row) for row in ROWS]
    rows[4] = [""] * len(NAMES)
    expected = CLIP.copy()
    expected[4] = np.nan
    check(write(tmp_path / "clip.csv", rows, NAMES), expected)


@pytest.mark.parametrize("word", ["inf", "-Infinity", "1e39"])
def test_infinity_is_named_with_line_and_joint(tmp_path: Path, word: str) -> None:
    rows = [list(row) for row in ROWS]
    rows[2][4] = word
    refuse(write(tmp_path / "clip.csv", rows, NAMES), "line 4, palm y: expected a finite number .* found infinity")


@pytest.mark.parametrize("word", ["abc", "0.1.2", "0,5x", "1_0", "0x1F", "--1", "1e", "True", "12:30"])
def test_what_is_no_number_is_named_with_line_and_joint(tmp_path: Path, word: str) -> None:
    rows = [list(row) for row in ROWS]
    rows[2][4] = word
    path = write(tmp_path / "clip.tsv", rows, NAMES, "\t")
    refuse(path, f"line 4, palm y: expected a number, found '{word}'", DatasetError)


class TestColumnsBeside:
    def test_confidence_of_zero_is_a_missing_joint(self, tmp_path: Path) -> None:
        for word in ("confidence", "visibility", "c", "score", "likelihood", "tracking_state"):
            header = [name for joint in LAYOUT.joints for name in (*(f"{joint}_{a}" for a in "xyz"), f"{joint}_{word}")]
            rows = [[c for j in range(V) for c in (*row[3 * j : 3 * j + 3], "0.7")] for row in ROWS]
            rows[3][4 * 6 + 3] = "0.0"
            expected = CLIP.copy()
            expected[3, 6] = np.nan
            check(write(tmp_path / "clip.csv", rows, header), expected)

    @pytest.mark.parametrize(
        "names", ["x{0},y{0},z{0},v{0}", "{0}_x,{0}_y,{0}_z,{0}_visibility", "x{0},y{0},z{0},conf_{0}"]
    )
    @pytest.mark.parametrize("first", [0, 1])
    def test_confidence_of_numbered_joints(self, tmp_path: Path, names: str, first: int) -> None:
        header = [name for joint in range(V) for name in names.format(joint + first).split(",")]
        rows = [[c for j in range(V) for c in (*row[3 * j : 3 * j + 3], "0.7")] for row in ROWS]
        rows[3][4 * 6 + 3] = "0"
        expected = CLIP.copy()
        expected[3, 6] = np.nan
        check(write(tmp_path / "clip.csv", rows, header), expected)

    def test_a_confidence_that_nobody_filled_in(self, tmp_path: Path) -> None:
        """MediaPipe gives every landmark of a hand the visibility 0."""
        header = [f"{joint}_{kind}" for joint in LAYOUT.joints for kind in ("x", "y", "z", "visibility")]
        rows = [[c for j in range(V) for c in (*row[3 * j : 3 * j + 3], "0.0")] for row in ROWS]
        check(write(tmp_path / "clip.csv", rows, header))
        check(write(tmp_path / "row.csv", [[*row, "0"] for row in ROWS], [*NAMES, "score"]))

    def test_a_status_is_no_confidence(self, tmp_path: Path) -> None:
        rows = [[*row, str(number % 2)] for number, row in enumerate(ROWS)]
        with pytest.warns(UserWarning, match="columns not used: status"):
            (body,) = read_bodies(write(tmp_path / "clip.csv", rows, [*NAMES, "status"]), LAYOUT)
        np.testing.assert_allclose(body.positions, CLIP, atol=1e-6)

    def test_confidence_of_a_row(self, tmp_path: Path) -> None:
        rows = [[*row, "0.9" if number != 2 else "0"] for number, row in enumerate(ROWS)]
        expected = CLIP.copy()
        expected[2] = np.nan
        for name in ("score", "Confidence", "visibility"):
            check(write(tmp_path / "clip.csv", rows, [*NAMES, name]), expected)
        words = [[*row, "True" if number != 2 else "False"] for number, row in enumerate(ROWS)]
        check(write(tmp_path / "clip.csv", words, [*NAMES, "tracked"]), expected)

    def test_x_y_confidence_is_no_x_y_z(self, tmp_path: Path) -> None:
        for word in ("confidence", "score", "visibility"):
            header = [name for joint in LAYOUT.joints for name in (f"{joint}_x", f"{joint}_y", f"{joint}_{word}")]
            refuse(write(tmp_path / "clip.csv", ROWS, header), "found no z: .*needs three-dimensional coordinates")
        header = [name for number in range(V) for name in (f"x{number}", f"y{number}", f"c{number}")]
        refuse(write(tmp_path / "clip.csv", ROWS, header), "found no z: .*needs three-dimensional coordinates")

    def test_rotations_and_velocities_are_passed_over(self, tmp_path: Path) -> None:
        for words in (("qx", "qy", "qz", "qw"), ("rot_x", "rot_y", "rot_z"), ("vx", "vy", "vz"), ("velocity_x",)):
            header = [
                n
                for joint in LAYOUT.joints
                for n in (*(f"{joint}_{a}" for a in "xyz"), *(f"{joint}_{w}" for w in words))
            ]
            rows = [[c for j in range(V) for c in (*row[3 * j : 3 * j + 3], *["9"] * len(words))] for row in ROWS]
            check(write(tmp_path / "clip.csv", rows, header))

    def test_remarks_must_be_the_same_in_every_row(self, tmp_path: Path) -> None:
        for name in ("label", "gesture", "subject", "file"):
            check(write(tmp_path / "clip.csv", [["swipe up", *row] for row in ROWS], [name, *NAMES]))
            rows = [[f"take {number // 9}", *row] for number, row in enumerate(ROWS)]
            path = write(tmp_path / "clip.csv", rows, [name, *NAMES])
            refuse(path, f"expected one clip in a file, found 3 values in the column '{name}': take 0, take 1, take 2")

    def test_other_columns_are_named_in_a_warning(self, tmp_path: Path) -> None:
        path = write(tmp_path / "clip.csv", [["7", *row, "x"] for row in ROWS], ["gyro", *NAMES, "forearm_x"])
        with pytest.warns(UserWarning, match="columns not used: gyro, forearm_x"):
            (body,) = read_bodies(path, LAYOUT)
        np.testing.assert_allclose(body.positions, CLIP, atol=1e-6)

    @pytest.mark.parametrize("copy", ["wrist_x", "WRIST_X", "x_wrist"])
    def test_a_column_twice(self, tmp_path: Path, copy: str) -> None:
        path = write(tmp_path / "clip.csv", [[*row, "1"] for row in ROWS], [*NAMES, copy])
        refuse(path, rf"one column for wrist x, found two: column 1 \('wrist_x'\) and column 67 \('{copy}'\)")

    def test_frame_twice(self, tmp_path: Path) -> None:
        path = write(tmp_path / "clip.csv", [["1", "1", *row] for row in ROWS], ["frame", "frame", *NAMES])
        refuse(path, "expected one column 'frame', found 2")


class TestUnclearColumns:
    def test_joints_without_columns_are_named(self, tmp_path: Path) -> None:
        names = [name.replace("ring_tip", "ring_end") for name in NAMES]
        refuse(
            write(tmp_path / "clip.csv", ROWS, names), "joints without columns: ring_tip; not understood: ring_end_x"
        )
        path = write(tmp_path / "short.csv", [row[:-3] for row in ROWS], NAMES[:-3])
        refuse(path, "joints without columns: little_tip")

    def test_names_of_nothing_known(self, tmp_path: Path) -> None:
        names = [f"foo{'abcdefghijklmnopqrstuvwxyz'[place // 3]}_{'uvw'[place % 3]}" for place in range(3 * V)]
        refuse(
            write(tmp_path / "clip.csv", ROWS, names), "expected columns x, y, z of the 22 joints of layout 'shrec22'"
        )

    def test_too_many_columns_without_names(self, tmp_path: Path) -> None:
        path = write(tmp_path / "clip.csv", [[number, *row] for number, row in enumerate(ROWS)])
        refuse(
            path,
            "line 1: expected 66 numbers .* found 67: 0, .* a header line tells what the others are: frame,wrist_x",
        )
        path = write(tmp_path / "clip.csv", [["anna", *row] for row in ROWS])
        refuse(path, "expected numbers, or a header .* found 'anna' in column 1 among numbers", DatasetError)
        path = write(tmp_path / "clip.csv", [row * 2 for row in ROWS])
        refuse(path, "expected 66 numbers .* found 132")
        path = write(tmp_path / "clip.csv", [[cell.replace(".", ",") for cell in row] for row in ROWS])
        refuse(path, "found 132: 0, 40296, .*; decimal commas between commas: write semicolons")
        refuse(write(tmp_path / "clip.csv", zip(*ROWS, strict=True)), "found 24: .* lines and columns look swapped")
        refuse(
            write(tmp_path / "clip.csv", CLIP.reshape(-1, 3)), "found 3: .* a header line says so: frame,joint,x,y,z"
        )
        refuse(
            write(tmp_path / "clip.txt", [["60"], ["1"], ["72"]]), "found 1: 60; a file of NTU RGB.D must end in .skel"
        )
        path = write(tmp_path / "clip.csv", [row[:44] for row in ROWS])
        refuse(path, "found 44: .* the model needs x, y and z")

    def test_numbered_columns_of_another_count(self, tmp_path: Path) -> None:
        rows = [row[:63] for row in ROWS]
        refuse(write(tmp_path / "clip.csv", rows), "21 joints: perhaps read with --source interhand-21, mano-21, ")
        refuse(
            write(tmp_path / "clip.csv", rows, [str(n) for n in range(63)]),
            "21 joints: perhaps read with --source interhand-21, mano-21",
        )
        refuse(
            write(tmp_path / "clip.csv", rows, [f"{a}{n}" for n in range(21) for a in "xyz"]),
            "--source interhand-21, mano-21, mano",
        )

    def test_ragged_rows(self, tmp_path: Path) -> None:
        rows = [list(row) for row in ROWS]
        rows[6] = rows[6][:-1]
        refuse(write(tmp_path / "clip.csv", rows), "line 7: expected 66 cells between commas .* found 65", DatasetError)
        refuse(
            write(tmp_path / "clip.csv", rows, NAMES, ";"), "line 8: expected 66 cells between semicolons", DatasetError
        )
        refuse(
            write(tmp_path / "clip.csv", ROWS, NAMES[:-2]), "expected a name for each of the 66 columns", DatasetError
        )

    def test_decimal_points_and_commas(self, tmp_path: Path) -> None:
        rows = [[cell.replace(".", ",") for cell in row] for row in ROWS]
        rows[3] = ROWS[3]
        refuse(
            write(tmp_path / "clip.csv", rows, NAMES, ";"), "decimal points or decimal commas, found both", DatasetError
        )

    def test_an_open_quote(self, tmp_path: Path) -> None:
        path = write(tmp_path / "clip.csv", ROWS, NAMES)
        path.write_text(path.read_text().replace("\n0", '\n"0', 1))
        refuse(path, "line 2: expected quotes in pairs", DatasetError)

    @pytest.mark.parametrize("content", ["", "\n\n", "# nothing\n", "\ufeff", "sep=;\n"])
    def test_nothing(self, tmp_path: Path, content: str) -> None:
        path = tmp_path / "clip.csv"
        path.write_text(content, encoding="utf-8")
        refuse(path, "expected at least one frame, found none", DatasetError)
        path.write_text(",".join(NAMES) + "\n")
        refuse(path, "expected at least one frame, found none")

    def test_as_many_persons_or_columns_as_lines_or_letters(self, tmp_path: Path) -> None:
        rows = [[f"u{number}", *ROWS[number % len(ROWS)]] for number in range(300)]
        refuse(write(tmp_path / "clip.csv", rows, ["person", *NAMES]), "expected at most 256 persons, found 300")
        wide = write(tmp_path / "wide.csv", [[1] * 50_000] * 2, ["a"] * 50_000)
        refuse(wide, "expected at most 20000 columns, found 50000", DatasetError)

    @pytest.mark.parametrize("units", [["m"], ["m"] * 60, ["m"] * 80])
    def test_units_of_another_number(self, tmp_path: Path, units: list[str]) -> None:
        with pytest.raises(AdaSGNError, match="expected"):
            read_bodies(write(tmp_path / "clip.csv", [units, *ROWS], NAMES), LAYOUT)

    def test_hostile_headers_give_short_messages(self, tmp_path: Path) -> None:
        refuse(write(tmp_path / "clip.csv", ROWS, ["q" * 9000, *NAMES[1:]]), "joints without columns: wrist")
        refuse(write(tmp_path / "one.csv", [["z" * 9000] * 66]), "expected")
        long = tmp_path / "long.csv"
        long.write_text("1," * 70 + '"' + "a" * 200_000 + '"\n')
        refuse(long, "expected", DatasetError)


class TestLongTables:
    @pytest.mark.parametrize("joint", ["joint", "landmark_id", "Keypoint", "name", "id"])
    @pytest.mark.parametrize("numbers", ["names", "from 0", "from 1"])
    def test_a_row_for_every_joint(self, tmp_path: Path, joint: str, numbers: str) -> None:
        ids = {"names": LAYOUT.joints, "from 0": range(V), "from 1": range(1, V + 1)}[numbers]
        rows = [[n, name, *CLIP[n, j]] for n in range(len(CLIP)) for j, name in enumerate(ids)]
        rows = [rows[place] for place in np.random.default_rng(0).permutation(len(rows))]
        if joint == "id":
            rows.sort(key=lambda row: row[0])
        (body,) = bodies(write(tmp_path / "clip.csv", rows, ["frame", joint, "x", "y", "z"]))
        order = np.argsort(body.frames)
        np.testing.assert_allclose(body.positions[order], CLIP, atol=1e-6)

    def test_without_frames_and_with_missing_joints_and_persons(self, tmp_path: Path) -> None:
        rows = [
            [person, joint, *clip[n, j]]
            for n in range(len(CLIP))
            for person, clip in (("a", CLIP), ("b", OTHER))
            for j, joint in enumerate(LAYOUT.joints)
            if (n, j) != (3, 7)
        ]
        found = bodies(write(tmp_path / "clip.csv", rows, ["person", "joint", "x", "y", "z"]))
        for body, clip in zip(found, (CLIP, OTHER), strict=True):
            expected = clip.copy()
            expected[3, 7] = np.nan
            np.testing.assert_allclose(body.positions, expected, atol=1e-6)

    def test_errors(self, tmp_path: Path) -> None:
        header = ["frame", "joint", "x", "y", "z"]
        rows = [[0, "wrist", 1, 2, 3], [0, "elbow", 1, 2, 3]]
        refuse(write(tmp_path / "clip.csv", rows, header), "expected joints of layout 'shrec22', found 'elbow'")
        rows = [[0, 0, 1, 2, 3], [0, 0, 1, 2, 3]]
        refuse(write(tmp_path / "clip.csv", rows, header), "line 3: expected every joint once a frame, found wrist")
        rows = [[0, joint, 1, 2, 3] for joint in (*range(21), 25)]
        refuse(write(tmp_path / "clip.csv", rows, header), "expected joints 0 to 21 of layout 'shrec22', found")
        rows = [[n, joint, 1, 2, 3] for n in range(2) for joint in load_source("mediapipe-hand").joints]
        refuse(write(tmp_path / "clip.csv", rows, header), "joints of mediapipe-hand-21: read it with --source")


class TestText:
    def test_other_encodings_are_named(self, tmp_path: Path) -> None:
        path = tmp_path / "clip.csv"
        path.write_bytes("größe,x\n".encode("latin-1") + text_of().encode())
        refuse(path, "not UTF-8 .0xF6 in line 1; perhaps Latin-1", DatasetError)
        path.write_bytes(text_of().encode("utf-16-le"))
        refuse(path, "NUL bytes .UTF-16 without a byte order mark", DatasetError)
        path.write_bytes(text_of().encode() + b"\0\0")
        refuse(path, "NUL bytes", DatasetError)
        path.write_bytes(text_of().encode("utf-16")[:-1])
        refuse(path, "nor UTF-16-LE, which the first announce", DatasetError)

    def test_compressed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        content = gzip.compress(text_of().encode())
        path = tmp_path / "clip.csv.gz"
        for bad in (content[:-20], content[:50], b"not gzip", content[:100] + b"\xff" * 50 + content[150:]):
            path.write_bytes(bad)
            refuse(path, "expected a file compressed by gzip", DatasetError)
        path.write_bytes(content)
        check(path)
        monkeypatch.setattr(reading, "LARGEST_FILE", 2000)
        refuse(path, "expected at most", DatasetError)

    def test_numbers_of_ten_thousand_lines(self, tmp_path: Path) -> None:
        """Fast enough for long recordings; the bound is loose for busy machines."""
        import time

        path = write(tmp_path / "clip.csv", ROWS * (10_000 // len(ROWS)), NAMES)
        start = time.process_time()
        (body,) = bodies(path)
        assert time.process_time() - start < 3
        assert len(body.frames) == len(ROWS) * (10_000 // len(ROWS))


SEEDS = [text_of().encode(), DIALECTS["semicolon, decimal comma"](), DIALECTS["quotes"](), DIALECTS["utf-16"]()]


@settings(max_examples=150, deadline=None)
@given(
    seed=st.sampled_from(SEEDS),
    cuts=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 30), st.binary(max_size=6)), min_size=1, max_size=6),
)
def test_changed_bytes_are_read_or_refused_by_name(
    tmp_path_factory: pytest.TempPathFactory, seed: bytes, cuts: list
) -> None:
    content = seed[:6000]
    for where, length, inserted in cuts:
        place = int(where * len(content))
        content = content[:place] + inserted + content[place + length :]
    path = tmp_path_factory.getbasetemp() / "mutated.csv"
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        message, found = "", []
        try:
            found = read_bodies(path, LAYOUT)
            assert all(np.isfinite(track).all() for track in read_clip(path, LAYOUT))
        except AdaSGNError as error:
            message = str(error)
        assert found or message
        assert len(message) < 700
        assert all(body.positions.shape[1:] == (V, 3) and not np.isinf(body.positions).any() for body in found)
