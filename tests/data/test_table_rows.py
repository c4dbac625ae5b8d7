"""Rows of text tables: which are one frame, and whose they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from adasgn_edge.data.clips import read_bodies
from adasgn_edge.data.timeline import follows
from tests.data.written_tables import CLIP, LAYOUT, NAMES, OTHER, ROWS, V, bodies, check, refuse, write


class TestFrames:
    @pytest.mark.parametrize("name", ["frame", "Frame", "frame_id", "FrameNumber", "frame no.", "#frame"])
    def test_a_frame_column_at_any_place(self, tmp_path: Path, name: str) -> None:
        for place in (0, 20, 3 * V):
            rows = [[*row[:place], str(number), *row[place:]] for number, row in enumerate(ROWS)]
            check(write(tmp_path / "clip.csv", rows, [*NAMES[:place], name, *NAMES[place:]]))

    def test_gaps_stay_and_rows_are_sorted(self, tmp_path: Path) -> None:
        numbers = [10, 11, 14, 15, 30, *range(31, 31 + len(ROWS) - 5)]
        order = np.random.default_rng(0).permutation(len(ROWS))
        for form in ("{}", "{}.0", "{:06}", "frame_{:04}"):
            rows = [[form.format(numbers[place]), *ROWS[place]] for place in order]
            (body,) = bodies(write(tmp_path / "clip.csv", rows, ["frame", *NAMES]))
            assert body.frames.tolist() == numbers
            np.testing.assert_allclose(body.positions, CLIP, atol=1e-6)

    @pytest.mark.parametrize("value", ["1.5", "abc", "", "nan", "1e300", "99999999999999999999999"])
    def test_what_is_no_frame_number(self, tmp_path: Path, value: str) -> None:
        rows = [[str(number), *row] for number, row in enumerate(ROWS)]
        rows[7][0] = value
        refuse(
            write(tmp_path / "clip.csv", rows, ["frame", *NAMES]), "line 9: expected the frame's number in .*'frame'"
        )

    def test_a_frame_twice(self, tmp_path: Path) -> None:
        rows = [[str(number // 2), *row] for number, row in enumerate(ROWS)]
        path = write(tmp_path / "clip.csv", rows, ["frame", *NAMES])
        refuse(
            path, r"line 3: expected one person \(others need a column person\) once a frame, found frame 0 in line 2"
        )

    @pytest.mark.parametrize("name", ["time", "timestamp", "t", "Timestamp (ms)", "time_s", "stamp"])
    @pytest.mark.parametrize(
        "stamp",
        [
            lambda n: f"{n / 30:.4f}",
            lambda n: str(1_700_000_000_000_000_000 + n * 33_333_333),
            lambda n: f"2024-02-29 23:59:{58 + n / 30:06.3f}" if n < 60 else "",
            lambda n: f"2024-02-29T10:00:{n / 30:09.6f}Z",
            lambda n: f"1{n / 30 + 1:.6f}e3",
            lambda n: f"2024/2/29 9:59:{n / 30:06.3f}",
        ],
    )
    def test_times_order_the_frames(self, tmp_path: Path, name: str, stamp: Callable[[int], str]) -> None:
        name = name if name != "time_s" else "time (s)"
        order = np.random.default_rng(0).permutation(len(ROWS))
        rows = [[stamp(int(place)), *ROWS[place]] for place in order]
        assert check(write(tmp_path / "clip.csv", rows, [name, *NAMES])).frames.tolist() == list(range(len(CLIP)))

    def test_a_clock_coarser_than_the_frames(self, tmp_path: Path) -> None:
        rows = [[str(number // 3), *row] for number, row in enumerate(ROWS)]
        check(write(tmp_path / "clip.csv", rows, ["seconds", *NAMES]))

    def test_frame_wins_over_time_and_index(self, tmp_path: Path) -> None:
        rows = [[number, 5 * number, number / 30, *row] for number, row in enumerate(ROWS)]
        body = check(write(tmp_path / "clip.csv", rows, ["", "frame", "time", *NAMES]))
        assert body.frames.tolist() == list(range(0, 5 * len(CLIP), 5))

    def test_what_is_no_time(self, tmp_path: Path) -> None:
        rows = [["noon", *row] for row in ROWS]
        refuse(write(tmp_path / "clip.csv", rows, ["time", *NAMES]), "line 2: expected a time in .* found 'noon'")


OTHER_ROWS = [[f"{number:.5f}" for number in frame.ravel()] for frame in OTHER]


class TestPersons:
    @pytest.mark.parametrize(
        "name",
        ["person", "Person_ID", "id", "bodyID", "track", "hand", "hand_number", "handedness", "TrackingId", "user"],
    )
    @pytest.mark.parametrize(
        ("one", "two"),
        [("0", "1"), ("anna", "ben"), ("1.0", "2.0"), ("Left", "Right"), ("72057594037931101", "72057594037931102")],
    )
    def test_persons_in_turn(self, tmp_path: Path, name: str, one: str, two: str) -> None:
        rows = [row for pair in zip(ROWS, OTHER_ROWS, strict=True) for row in ([*pair[0], one], [*pair[1], two])]
        first, second = bodies(write(tmp_path / "clip.csv", rows, [*NAMES, name]))
        for body, expected in ((first, CLIP), (second, OTHER)):
            np.testing.assert_allclose(body.positions, expected, atol=1e-6)
            assert body.frames.tolist() == list(range(len(CLIP)))

    def test_frames_in_which_one_is_away(self, tmp_path: Path) -> None:
        """Without frame numbers a new frame begins where a person comes again."""
        rows = []
        for number, row in enumerate(ROWS):
            rows.append(["1", *row])
            if 5 <= number < 9:
                rows.append(["2", *OTHER_ROWS[number]])
        first, second = bodies(write(tmp_path / "clip.csv", rows, ["person", *NAMES]))
        assert first.frames.tolist() == list(range(len(CLIP)))
        assert second.frames.tolist() == [5, 6, 7, 8]
        np.testing.assert_allclose(second.positions, OTHER[5:9], atol=1e-6)

    def test_a_hand_whose_side_is_mistaken_now_and_then(self, tmp_path: Path) -> None:
        sides = ["Right" if number not in (5, 6, 13) else "Left" for number in range(len(ROWS))]
        rows = [[side, *row] for side, row in zip(sides, ROWS, strict=True)]
        found = bodies(write(tmp_path / "clip.csv", rows, ["handedness", *NAMES]))
        frames = [[n for n, other in enumerate(sides) if other == side] for side in ("Right", "Left")]
        assert [body.frames.tolist() for body in found] == frames

    def test_a_second_detection_of_the_same_hand_is_in_the_same_frame(self, tmp_path: Path) -> None:
        rows = [["1", *row] for row in ROWS]
        rows.insert(9, ["2", *(f"{number:.5f}" for number in (CLIP[8] + np.float32([0.01, 0, 0])).ravel())])
        first, second = bodies(write(tmp_path / "clip.csv", rows, ["person", *NAMES]))
        assert first.frames.tolist() == list(range(len(CLIP)))
        assert second.frames.tolist() == [8]

    def test_persons_in_turn_each_with_a_time_of_their_own(self, tmp_path: Path) -> None:
        rows = []
        for number, (one, two) in enumerate(zip(ROWS, OTHER_ROWS, strict=True)):
            rows += [[number / 30, "1", *one], *([[number / 30 + 0.001, "2", *two]] if number != 4 else [])]
        rows = [rows[place] for place in np.random.default_rng(0).permutation(len(rows))]
        for body in bodies(write(tmp_path / "clip.csv", rows, ["time", "person", *NAMES])):
            assert body.frames.tolist() in ([*range(len(CLIP))], [n for n in range(len(CLIP)) if n != 4])

    def test_times_of_one_person_after_another(self, tmp_path: Path) -> None:
        rows = [[number / 30, str(number // 12), *row] for number, row in enumerate(ROWS)]
        first, second = bodies(write(tmp_path / "clip.csv", rows, ["time", "person", *NAMES]))
        assert first.frames[-1] < second.frames[0]

    def test_numbers_of_persons_that_a_table_program_rounded(self, tmp_path: Path) -> None:
        path = write(tmp_path / "clip.csv", [["7.20576E+16", *row] for row in ROWS], ["body", *NAMES])
        with pytest.warns(UserWarning, match=r"person 7.20576E\+16 has lost digits"):
            assert len(read_bodies(path, LAYOUT)) == 1

    def test_frame_and_person(self, tmp_path: Path) -> None:
        rows = [["1", n, *row] for n, row in enumerate(ROWS)] + [
            ["2", n, *row] for n, row in enumerate(OTHER_ROWS) if n > 3
        ]
        first, second = bodies(write(tmp_path / "clip.csv", rows, ["person", "frame", *NAMES]))
        assert first.frames.tolist() == list(range(len(CLIP)))
        assert second.frames.tolist() == list(range(4, len(CLIP)))

    def test_a_table_sorted_by_person_holds_both_at_once(self, tmp_path: Path) -> None:
        rows = [["1", *row] for row in ROWS] + [["2", *row] for row in OTHER_ROWS]
        first, second = bodies(write(tmp_path / "clip.csv", rows, ["person", *NAMES]))
        assert first.frames.tolist() == second.frames.tolist() == list(range(len(CLIP)))

    def test_a_new_number_on_the_way_goes_on_in_time(self, tmp_path: Path) -> None:
        rows = [[str(1 + (number >= 9) + (number >= 15)), *row] for number, row in enumerate(ROWS)]
        found = bodies(write(tmp_path / "clip.csv", rows, ["person", *NAMES]))
        assert [body.frames.tolist() for body in found] == [[*range(9)], [*range(9, 15)], [*range(15, len(CLIP))]]

    def test_two_hands_told_apart_by_two_columns(self, tmp_path: Path) -> None:
        rows = [["0", "Left", *row] for row in ROWS[:6]] + [["0", "Right", *row] for row in OTHER_ROWS[:6]]
        assert len(bodies(write(tmp_path / "clip.csv", rows, ["person", "handedness", *NAMES]))) == 2

    def test_an_id_that_numbers_the_rows_is_no_person(self, tmp_path: Path) -> None:
        check(write(tmp_path / "clip.csv", [[number, *row] for number, row in enumerate(ROWS)], ["id", *NAMES]))

    def test_a_row_without_a_person(self, tmp_path: Path) -> None:
        rows = [["1", *row] for row in ROWS]
        rows[3][0] = ""
        refuse(write(tmp_path / "clip.csv", rows, ["person", *NAMES]), "line 5: expected a person, found an empty cell")

    def test_frames_with_nobody(self, tmp_path: Path) -> None:
        rows = [["1", n, *row] for n, row in enumerate(ROWS)]
        rows[3] = ["", "3", *[""] * (3 * V)]
        rows[4] = ["nan", "4", *["nan"] * (3 * V)]
        (body,) = bodies(write(tmp_path / "clip.csv", rows, ["person", "frame", *NAMES]))
        assert body.frames.tolist() == [0, 1, 2, *range(5, len(CLIP))]

    def test_several_persons_a_frame_without_a_column_for_them(self, tmp_path: Path) -> None:
        rows = [[n, *row] for n in range(len(ROWS)) for row in (ROWS[n], OTHER_ROWS[n])]
        refuse(write(tmp_path / "clip.csv", rows, ["frame", *NAMES]), "line 3: .*others need a column person")

    def test_follows(self) -> None:
        still = np.repeat(CLIP[:1], 5, axis=0) + np.random.default_rng(0).normal(0, 1e-3, (5, V, 3))
        assert follows(CLIP[:12], CLIP[12:])
        assert not follows(CLIP[:12], CLIP[12:] + np.float32(0.5))
        assert not follows(CLIP, OTHER)
        assert not follows(still, still + np.float32(1))
        assert not follows(CLIP[:1], CLIP[1:])
