from __future__ import annotations

import warnings

import numpy as np
import pytest

from adasgn_edge.data.ntu import choose_persons, read_ntu, read_skeleton_file
from adasgn_edge.data.persons import Body
from adasgn_edge.errors import DatasetError
from tests.data.ntu_files import FIRST, SECOND, THIRD, body_track, frames_of, skeleton_text, write_skeleton


def body(first: int, length: int, **shape) -> Body:
    track = body_track(length, **shape).astype(np.float32)
    return Body(np.arange(first, first + length), track)


class TestFile:
    def test_two_bodies_and_empty_frames(self, tmp_path):
        one, two = body_track(30, seed=1), body_track(20, seed=2)
        frames = frames_of(35, one=(FIRST, 2, one), two=(SECOND, 8, two))
        assert not frames[0]
        assert not frames[34]
        first, second = read_skeleton_file(write_skeleton(tmp_path / "a.skeleton", frames))
        np.testing.assert_array_equal(first.frames, np.arange(2, 32))
        np.testing.assert_array_equal(second.frames, np.arange(8, 28))
        np.testing.assert_allclose(first.positions, one, rtol=1e-6)
        np.testing.assert_allclose(second.positions, two, rtol=1e-6)

    def test_a_body_that_comes_back_keeps_its_frames(self, tmp_path):
        track = body_track(30)
        frames = frames_of(40, before=(FIRST, 0, track[:10]), after=(FIRST, 20, track[10:]))
        (found,) = read_skeleton_file(write_skeleton(tmp_path / "a.skeleton", frames))
        np.testing.assert_array_equal(found.frames, [*range(10), *range(20, 40)])
        np.testing.assert_allclose(found.positions, track, rtol=1e-6)

    @pytest.mark.parametrize("frames", [0, 5])
    def test_no_body_at_all(self, tmp_path, frames):
        assert read_skeleton_file(write_skeleton(tmp_path / "a.skeleton", [[]] * frames)) == []

    def test_truncation_at_every_line(self, tmp_path):
        lines = skeleton_text(frames_of(2, one=(FIRST, 0, body_track(2)))).splitlines(keepends=True)
        path = tmp_path / "a.skeleton"
        for count in range(len(lines)):
            path.write_text("".join(lines[:count]))
            with pytest.raises(DatasetError, match=rf"line {count + 1}: expected .*truncated"):
                read_skeleton_file(path)

    def test_truncation_within_a_line(self, tmp_path):
        text = skeleton_text(frames_of(1, one=(FIRST, 0, body_track(1))))
        path = tmp_path / "a.skeleton"
        path.write_text(text[: len(text) - 40])
        with pytest.raises(DatasetError, match=r"line 29: expected a joint \(12 words\), found"):
            read_skeleton_file(path)

    @pytest.mark.parametrize(
        ("line", "text", "message"),
        [
            (0, "x", "line 1: expected the number of frames, found 'x'"),
            (0, "9" * 5000, "line 1: expected the number of frames, found '999"),
            (0, "\0" * 5000, "line 1: expected the number of frames, found|found NUL"),
            (1, "-1", "line 2: expected the number of bodies, found '-1'"),
            (2, "7 0 1", r"line 3: expected the fields of a body \(10 words\), found 3"),
            (3, "24", "line 4: expected 25 joints, found 24"),
            (4, "a 0 1 2 3 4 5 6 7 8 9 10", "line 5: expected three numbers of a joint, found 'a'"),
        ],
    )
    def test_wrong_lines(self, tmp_path, line, text, message):
        lines = skeleton_text(frames_of(1, one=(FIRST, 0, body_track(1)))).splitlines()
        lines[line] = text
        path = tmp_path / "a.skeleton"
        path.write_text("\n".join(lines))
        with pytest.raises(DatasetError, match=message) as caught:
            read_skeleton_file(path)
        assert len(str(caught.value)) < 500

    @pytest.mark.parametrize("word", ["-1.#IND", "1.#QNAN", "-1.#IND00", "nan", "NaN", "-nan(ind)", "nan(snan)"])
    def test_ways_to_write_nan(self, tmp_path, word):
        lines = skeleton_text(frames_of(1, one=(FIRST, 0, body_track(1)))).splitlines()
        lines[6] = " ".join([word, "0.5", "2", *lines[6].split()[3:]])
        path = tmp_path / "a.skeleton"
        path.write_text("\n".join(lines))
        (body,) = read_skeleton_file(path)
        np.testing.assert_array_equal(body.positions[0, 2], [np.nan, 0.5, 2])
        assert np.isfinite(np.delete(body.positions[0], 2, axis=0)).all()

    @pytest.mark.parametrize("word", ["1.#INF", "-1.#INF00", "inf", "1e300"])
    def test_ways_to_write_infinity(self, tmp_path, word):
        text = skeleton_text(frames_of(1, one=(FIRST, 0, np.full((1, 25, 3), 7.0)))).replace("7 7 7 ", f"7 {word} 7 ")
        (tmp_path / "a.skeleton").write_text(text)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            (body,) = read_skeleton_file(tmp_path / "a.skeleton")
        assert np.isinf(body.positions[..., 1]).all()

    def test_more_lines_than_announced(self, tmp_path):
        path = tmp_path / "a.skeleton"
        path.write_text(skeleton_text([[]]) + "\n0\n")
        with pytest.raises(DatasetError, match="line 3: expected the end of the file"):
            read_skeleton_file(path)

    def test_one_body_twice_in_a_frame(self, tmp_path):
        frames = frames_of(1, one=(FIRST, 0, body_track(1)), two=(FIRST, 0, body_track(1)))
        with pytest.raises(DatasetError, match=f"found '{FIRST}' twice"):
            read_skeleton_file(write_skeleton(tmp_path / "a.skeleton", frames))

    def test_bytes_that_are_no_text(self, tmp_path):
        path = tmp_path / "a.skeleton"
        path.write_bytes(b"\xff\xfe\x00")
        with pytest.raises(DatasetError, match="not UTF-8"):
            read_skeleton_file(path)


class TestPersons:
    def test_nobody(self):
        assert choose_persons([]) == []

    def test_short_bodies_are_noise(self):
        person = body(0, 40)
        assert choose_persons([body(3, 11, seed=1, motion=1.0), person]) == [person]
        assert len(choose_persons([body(3, 12, seed=1), person])) == 2

    def test_wide_bodies_are_noise(self):
        person = body(5, 30)
        assert choose_persons([body(0, 60, seed=1, width=1.6, height=0.7), person]) == [person]

    def test_who_lies_and_moves_is_no_noise_beside_furniture(self):
        lying, chair = body(0, 60, width=1.7, height=0.4, motion=0.3), body(0, 80, seed=1, height=0.9, motion=0.001)
        assert choose_persons([chair, lying])[0].motion == lying.motion

    def test_two_lost_and_found_persons_are_not_crossed(self):
        left, right = body_track(60, seed=1), body_track(60, seed=1) + np.array([1.2, 0, 0])
        parts = [
            Body(np.arange(first, last), track[first:last].astype(np.float32))
            for track in (left, right) for first, last in ((0, 30), (34, 60))
        ]  # fmt: skip
        for bodies in (parts, parts[::-1], [parts[0], parts[2], parts[3], parts[1]]):
            persons = choose_persons(bodies)
            assert len(persons) == 2
            assert all(np.abs(np.diff(p.positions[:, 0, 0])).max() < 0.6 for p in persons)

    def test_somebody_lying_down_at_the_end_is_no_noise(self):
        standing, lying = body(0, 40), body(40, 20, width=1.7, height=0.4)
        falling = standing.joined(lying)
        assert len(choose_persons([falling, body(0, 60, seed=2)])) == 2

    def test_the_last_one_stays_whatever_it_looks_like(self):
        short, shorter = body(0, 8), body(0, 5, seed=1, motion=1.0)
        assert choose_persons([shorter, short]) == [short]
        wide = body(0, 50, width=2.0, height=0.5)
        assert choose_persons([wide]) == [wide]

    def test_at_most_two_the_longest(self):
        one, two, three = body(0, 60, seed=1), body(0, 50, seed=2), body(10, 40, seed=3, motion=1.0)
        assert {id(person) for person in choose_persons([three, two, one])} == {id(one), id(two)}

    def test_the_one_who_moves_more_comes_first(self):
        still, mobile = body(0, 60, motion=0.01), body(0, 50, seed=1, motion=0.2)
        assert choose_persons([still, mobile]) == [mobile, still]

    def test_a_lost_and_found_person_is_one(self):
        before, after = body(0, 30), body(35, 40, seed=1)
        (person,) = choose_persons([before, after])
        np.testing.assert_array_equal(person.frames, [*range(30), *range(35, 75)])
        np.testing.assert_array_equal(person.positions, np.concatenate([before.positions, after.positions]))

    def test_the_lost_and_found_second_person_stays_the_second(self):
        first, before, after = body(0, 80, motion=0.5), body(0, 30, seed=1), body(40, 40, seed=2)
        found = choose_persons([before, after, first])
        assert found[0] is first
        np.testing.assert_array_equal(found[1].frames, [*range(30), *range(40, 80)])

    def test_the_order_of_bodies_does_not_matter(self):
        bodies = [body(0, 80), body(0, 30, seed=1), body(40, 40, seed=2), body(0, 20, seed=3)]
        expected = [person.motion for person in choose_persons(bodies)]
        assert [person.motion for person in choose_persons(bodies[::-1])] == expected


class TestDataset:
    def write(self, folder, name, frames=None):
        frames = frames_of(20, one=(FIRST, 0, body_track(20))) if frames is None else frames
        return write_skeleton(folder / f"{name}.skeleton", frames)

    def test_labels_splits_and_persons(self, tmp_path):
        two = frames_of(30, a=(FIRST, 0, body_track(30)), b=(SECOND, 0, body_track(25)), c=(THIRD, 4, body_track(6)))
        self.write(tmp_path / "s1", "S001C001P001R001A060", two)
        self.write(tmp_path / "s1", "S001C002P003R001A001")
        self.write(tmp_path / "s18", "S018C001P008R001A061")
        cs = read_ntu(tmp_path, "cs")
        assert cs.names == ("S001C001P001R001A060", "S001C002P003R001A001")
        assert cs.labels.tolist() == [59, 0]
        assert cs.split.tolist() == ["train", "test"]
        assert [len(cs.tracks(sample)) for sample in range(2)] == [2, 1]
        assert len(cs.class_names) == 60
        assert read_ntu(tmp_path, "cv").split.tolist() == ["test", "train"]
        csub = read_ntu([tmp_path / "s1", tmp_path / "s18"], "csub")
        assert len(csub) == 3
        assert len(csub.class_names) == 120
        assert read_ntu(tmp_path, "cset").split.tolist() == ["test", "test", "train"]

    def test_samples_listed_as_missing_are_left_out(self, tmp_path):
        self.write(tmp_path, "S001C002P005R002A008", frames=[[]])
        self.write(tmp_path, "S001C002P005R002A009")
        assert read_ntu(tmp_path, "cs").names == ("S001C002P005R002A009",)

    @pytest.mark.parametrize(
        ("frames", "message"),
        [
            ([[]] * 4, "expected somebody in at least one frame"),
            (frames_of(20, one=(FIRST, 0, np.full((20, 25, 3), np.nan))), "expected somebody in at least one frame"),
            (frames_of(20, one=(FIRST, 0, np.zeros((20, 25, 3)))), "expected somebody in at least one frame"),
            (frames_of(20, one=(FIRST, 0, np.full((20, 25, 3), np.inf))), "found infinity in frame 0"),
        ],
    )
    def test_broken_samples_are_fatal_or_named(self, tmp_path, frames, message):
        self.write(tmp_path, "S001C001P001R001A001")
        self.write(tmp_path, "S001C001P001R001A002", frames)
        with pytest.raises(DatasetError, match=rf"S001C001P001R001A002.*{message}"):
            read_ntu(tmp_path, "cs")
        with pytest.warns(UserWarning, match=rf"1 broken samples left out:\n.*A002.*{message}"):
            dataset = read_ntu(tmp_path, "cs", on_bad_sample="skip")
        assert dataset.names == ("S001C001P001R001A001",)
        assert "S001C001P001R001A002" in dataset.left_out[0]

    @pytest.mark.parametrize(
        "file",
        [
            "s001c001p001r001a060.skeleton", "S001C001P001R001A060.SKELETON", "S001C001P001R001A060.skeleton.txt",
            "S001C001P001R001A060_skel.skeleton", "S001C001P001R001A060 (1).skeleton",
            "part/S001C001P001R001A060.skeleton",
        ],
    )  # fmt: skip
    def test_ways_to_name_a_file(self, tmp_path, file):
        write_skeleton(tmp_path / file, frames_of(20, one=(FIRST, 0, body_track(20))))
        dataset = read_ntu(tmp_path, "cs")
        assert (dataset.names, dataset.labels.tolist()) == (("S001C001P001R001A060",), [59])
        assert dataset.groups == ("subject 1",)

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("S040C001P001R001A001", "expected the setup from 1 to 32, found 40"),
            ("S001C004P001R001A001", "expected the camera from 1 to 3, found 4"),
            ("S001C001P200R001A001", "expected the subject from 1 to 106, found 200"),
            ("S001C001P001R001A121", "expected the action from 1 to 120, found 121"),
            ("S001C001P001R001A0601", "expected a name such as S001C002P003R002A013, found 'S001C001P001R001A0601'"),
            ("S001C001P001R001A\u0661\u0661\u0661", "expected a name such as"),
        ],
    )
    def test_names_of_no_sample_can_be_skipped(self, tmp_path, name, message):
        self.write(tmp_path, name)
        self.write(tmp_path, "S001C001P001R001A002")
        with pytest.raises(DatasetError, match=message):
            read_ntu(tmp_path, "cs")
        with pytest.warns(UserWarning, match=rf"1 broken samples left out:\n.*{message}"):
            assert len(read_ntu(tmp_path, "cs", on_bad_sample="skip")) == 1

    def test_a_sample_in_two_folders(self, tmp_path):
        self.write(tmp_path / "one", "S001C001P001R001A001")
        other = self.write(tmp_path / "two", "s001c001p001r001a001")
        self.write(tmp_path / "two", "S001C001P001R001A002")
        for folders in (tmp_path, [tmp_path / "one", tmp_path / "two"]):
            with pytest.warns(UserWarning, match="samples that lie there twice, read once: S001C001P001R001A001$"):
                assert read_ntu(folders, "cs").names == ("S001C001P001R001A001", "S001C001P001R001A002")
        other.write_text(other.read_text().replace("25", "24", 1))
        with pytest.raises(DatasetError, match=r"A001.skeleton: expected one file of a sample, found .* in .*two"):
            read_ntu(tmp_path, "cs")
        with pytest.warns(UserWarning, match="1 broken samples left out"):
            assert read_ntu(tmp_path, "cs", on_bad_sample="skip").names == ("S001C001P001R001A002",)

    def test_names_and_folders_that_do_not_fit(self, tmp_path):
        with pytest.raises(DatasetError, match=r"expected .skeleton files, found none"):
            read_ntu(tmp_path, "cs")
        with pytest.raises(DatasetError, match="expected a split among cs, cv, csub, cset, found 'xsub'"):
            read_ntu(tmp_path, "xsub")
        self.write(tmp_path, "wave")
        with pytest.raises(DatasetError, match=r"wave.skeleton: expected a name such as"):
            read_ntu(tmp_path, "cs")
