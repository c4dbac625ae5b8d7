"""Every parser of the package, for the property test and for the fuzzer (tools/fuzz_parsers.py).

A parser is opened in an empty folder, to which it may write what else its files need, and is then a call from bytes to
anything. Its corpus, ``tests/corpus/NAME``, holds small valid files and every one that ever broke it.
"""

from __future__ import annotations

import json
import struct
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from adasgn_edge.errors import LONGEST_MESSAGE, AdaSGNError
from adasgn_edge.wording import printable

__all__ = ["CORPUS", "PARSERS", "PIECES", "UNTABLED", "Parser", "outcome"]

CORPUS = Path(__file__).parents[1] / "corpus"
Run = Callable[[bytes], object]
LONGEST_WARNING = 10_000
"""Characters: those of broken samples name ten."""


PIECES = [
    b"", b"\n", b"\r", b" ", b",", b";", b"\t", b'"', b"'", b"\0", b"\xff", b"\xff\xfe", b"\xef\xbb\xbf", b"\\", b"/",
    b"../", b"0", b"-1", b"1", b"2", b"1.5", b"256", b"3000", b"10000000", b"9223372036854775808", b"9" * 5000,
    b"1e999", b"1e308", b"1e38", b"5e-324", b"nan", b"inf", b"-Infinity", b"NaN", b"null", b"true", b'""', b'"x"',
    b"[", b"]", b"[]", b"{", b"}", b"{}", b"[" * 2000, b"[" * 100_000, b'{"a":' * 2000, b"x" * 5000, b"x" * 140_000,
    b"\x1b[31m", b"\xc2\x9b", b"\xe2\x80\xa8", b"\xe2\x80\xae", b"\xed\xa0\x80", b"\\ud800", b"\\u001b", b"\xd9\xa1",
    b"PK\x03\x04", b"\x93NUMPY", b"\x1f\x8b",
]  # fmt: skip
"""What files are damaged with."""


@dataclass(frozen=True)
class Parser:
    """covers: the public functions that it stands for, MODULE.NAME below adasgn_edge; needs: packages."""

    name: str
    open: Callable[[Path], Run]
    covers: tuple[str, ...]
    needs: tuple[str, ...] = ()

    @property
    def corpus(self) -> list[Path]:
        return sorted((CORPUS / self.name).iterdir())


def outcome(run: Run, content: bytes) -> AdaSGNError | None:
    """What a parser makes of the bytes: nothing wrong, or an error as it must be. Any other one is a finding."""
    error = None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            run(content)
        except AdaSGNError as found:
            error = found
    if error is not None:
        assert type(error) is not AdaSGNError, "an error without a name"
        assert 0 < len(str(error)) <= LONGEST_MESSAGE, f"a message of {len(str(error))} characters"
        assert printable(error) == str(error), f"a message that acts on terminals: {str(error)!r}"
    for warning in caught:
        text = str(warning.message)
        assert warning.category is UserWarning, f"a warning of another kind: {warning}"
        assert 0 < len(text) <= LONGEST_WARNING, f"a warning of {len(text)} characters"
        assert all(printable(line) == line for line in text.split("\n")), f"a warning that acts on terminals: {text!r}"
    return error


def every(calls: Iterable[Callable[[], object]]) -> None:
    """All of the calls, whatever the others raise of this package's errors; then the first of these errors."""
    first = None
    for call in calls:
        try:
            call()
        except AdaSGNError as error:
            first = first or error
    if first is not None:
        raise first


def of_file(name: str, *readers: Callable[[Path], object]) -> Callable[[Path], Run]:
    """A parser of one file of that name."""

    def start(folder: Path) -> Run:
        path = folder / name

        def run(content: bytes) -> None:
            path.write_bytes(content)
            every(partial(read, path) for read in readers)

        return run

    return start


def of_text(*readers: Callable[[str], object]) -> Callable[[Path], Run]:
    """A parser of text, as options and environment variables are: whatever the bytes, without NUL."""

    def run(content: bytes) -> None:
        text = content.replace(b"\0", b"").decode(errors="surrogateescape")
        every(partial(read, text) for read in readers)

    return lambda folder: run


def of_json(*readers: Callable[[Any], object]) -> Callable[[Path], Run]:
    """A parser of a value that stands in JSON which another one has read already; what is no JSON is passed over."""

    def run(content: bytes) -> None:
        try:
            value = json.loads(content)
        except (ValueError, RecursionError):
            return
        every(partial(read, value) for read in readers)

    return lambda folder: run


# -- what a file needs beside it --------------------------------------------------------------------------------------


@cache
def stick() -> Any:
    """A layout of three joints."""
    from adasgn_edge.skeletons import SkeletonLayout

    return SkeletonLayout.from_dict(
        {
            "name": "stick",
            "joints": ["foot", "hip", "head"],
            "bones": [["hip", "foot"], ["head", "hip"]],
            "origin": "foot",
            "scale_bone": ["foot", "hip"],
            "joint_sets": {"1": [["foot", "hip", "head"]]},
        }
    )


def recording(path: Path) -> object:
    from adasgn_edge.data.clips import read_recording

    return read_recording(path, stick())


def skeleton(path: Path) -> object:
    from adasgn_edge.data.clips import read_recording

    return read_recording(path, "ntu25")


def played(path: Path) -> object:
    from adasgn_edge.data.playing import recorded_frames

    return list(recorded_frames(path, stick(), None, 30.0))


def rate(path: Path) -> object:
    from adasgn_edge.data.playing import recorded_rate

    return recorded_rate(path)


def looked_at(path: Path) -> object:
    from adasgn_edge.data.source_file import examine

    return examine(path, stick())


CLIP = (recording, played, rate, looked_at)
CLIPS_COVER = (
    "data.clips.read_bodies", "data.clips.read_clip", "data.clips.read_given_bodies", "data.clips.read_recording",
    "data.playing.file_stamps", "data.playing.recorded_frames", "data.playing.recorded_rate", "data.arrays.read_arrays",
    "data.reading.read_at_most", "data.reading.read_bytes", "data.reading.read_lines",
)  # fmt: skip


def positions(frames: int = 3) -> Any:
    """(frames, 3, 3) of the stick, none of them zero."""
    import numpy as np

    return (np.arange(frames * 9).reshape(frames, 3, 3) % 7 + 1).astype(np.float32) / 8


def folder_of_recordings(name: str) -> Callable[[Path], Run]:
    """A folder in which one file is what comes, read with both choices for broken samples."""

    def start(folder: Path) -> Run:
        import numpy as np

        from adasgn_edge.data.recordings import read_recordings

        for clip in ("a", "b", "c"):
            np.savez(folder / f"{clip}.npz", positions=positions())
        (folder / "labels.csv").write_text("file,label,split\na.npz,1,train\nb.npz,2,test\nc.npz,1,train\n")
        (folder / "layout.json").write_text(json.dumps(stick().to_dict()))

        def run(content: bytes) -> None:
            (folder / name).write_bytes(content)
            every(partial(read_recordings, folder, choice) for choice in ("error", "skip"))

        return run

    return start


def data_set(write: Callable[[Path], tuple[Path, Callable[..., object]]]) -> Callable[[Path], Run]:
    """A public data set in which one file is what comes. Where a sample is broken, the others are read all the same."""

    def start(folder: Path) -> Run:
        path, read = write(folder)

        def run(content: bytes) -> None:
            path.write_bytes(content)
            every((read, partial(read, on_bad_sample="skip")))

        return run

    return start


def ntu(folder: Path) -> tuple[Path, Callable[..., object]]:
    from adasgn_edge.data.ntu import read_ntu

    for source in sorted((CORPUS / "skeleton").glob("valid*")):
        (folder / "S001C001P001R001A002.skeleton").write_bytes(source.read_bytes())
    return folder / "S001C001P001R001A001.skeleton", partial(read_ntu, folder, "cs")


def nw_ucla(folder: Path) -> tuple[Path, Callable[..., object]]:
    from adasgn_edge.data.nw_ucla import read_nw_ucla

    whole = {"file_name": "a02_s01_e00_v01", "label": 2, "skeletons": [[[1, 2, 3]] * 20] * 3}
    (folder / "a02_s01_e00_v01.json").write_text(json.dumps(whole))
    return folder / "a01_s01_e00_v01.json", partial(read_nw_ucla, folder)


def shrec17(folder: Path) -> tuple[Path, Callable[..., object]]:
    from adasgn_edge.data.shrec import read_shrec

    for essai in (1, 2):
        sample = folder / f"gesture_1/finger_1/subject_1/essai_{essai}/skeletons_world.txt"
        sample.parent.mkdir(parents=True)
        sample.write_text(" ".join(["0.5"] * 66) + "\n" + " ".join(["0.25"] * 66) + "\n")
    (folder / "train_gestures.txt").write_text("1 1 1 2 1 1 2\n")
    (folder / "test_gestures.txt").write_text("1 1 1 1 1 1 2\n")
    return folder / "gesture_1/finger_1/subject_1/essai_1/skeletons_world.txt", partial(read_shrec, folder)


def shrec17_list(folder: Path) -> Run:
    _, read = shrec17(folder)

    def run(content: bytes) -> None:
        (folder / "test_gestures.txt").write_bytes(content)
        every((read, partial(read, on_bad_sample="skip")))

    return run


def shrec21(name: str) -> Callable[[Path], Run]:
    """SHREC'21 in its compact form, one file of which is what comes."""

    def start(folder: Path) -> Run:
        import numpy as np

        from adasgn_edge.data.shrec21 import read_shrec21

        for split, number in (("training", "1"), ("test", "2")):
            np.savez(folder / f"{split}.npz", **{number: np.full((4, 20, 3), 0.5, dtype=np.float32)})
            (folder / f"{split}_annotations.txt").write_text(f"{number};DENY;1;2;TAP;3;4;\n")

        def run(content: bytes) -> None:
            (folder / name).write_bytes(content)
            read_shrec21(folder)

        return run

    return start


def leap_text(path: Path) -> object:
    from adasgn_edge.data.shrec21 import read_leap_text

    return read_leap_text(path)


def label_table(path: Path) -> object:
    from adasgn_edge.data.label_table import numbered_labels, read_label_table, table_line

    table = read_label_table(path)
    every(
        (
            lambda: numbered_labels(table, path.with_name("none")),
            lambda: table_line(table, "new.npz", table.rows[0].label, table.rows[0].subject),
        )
    )
    return table


def cuts(path: Path) -> object:
    from adasgn_edge.data.cuts import read_cuts

    return read_cuts(path)


def layout(path: Path) -> object:
    from adasgn_edge.skeletons import load_layout, stated_conventions

    found = load_layout(path)
    stated_conventions(found)
    assert same(found.to_dict()), "a layout that does not read what it writes"
    return found.parents


def same(data: dict[str, Any]) -> bool:
    from adasgn_edge.skeletons import SkeletonLayout

    return SkeletonLayout.from_dict(json.loads(json.dumps(data))).to_dict() == data


def source(path: Path) -> object:
    from adasgn_edge.data.sources import load_source
    from adasgn_edge.skeletons import load_layout

    found = load_source(path)
    return found.options, found.fits(stick()), found.matrix(stick()), found.fits(load_layout("shrec22"))


def clip_recipe(path: Path) -> object:
    from adasgn_edge.train.recipe import load_recipe
    from adasgn_edge.train.stages import plan_stages

    recipe = load_recipe(str(path))
    recipe.single.fitted(100)
    return plan_stages(recipe, stick(), 3, 100)


def variant(path: Path) -> object:
    from adasgn_edge.train.recipe import load_recipe

    return load_recipe("shrec14", str(path))


def online_recipe(path: Path) -> object:
    from adasgn_edge.skeletons import load_layout
    from adasgn_edge.train.online.recipe import is_online, load_online_recipe, plan_online_stages

    if not is_online(str(path)):
        return None
    return plan_online_stages(load_online_recipe(str(path)), load_layout("shrec22"), 3)


def cache_file(path: Path) -> object:
    from adasgn_edge.data.cache import load_dataset, read_checksum

    every((lambda: read_checksum(path), lambda: load_dataset(path)))
    return None


def cache_body(folder: Path) -> Run:
    """What stands below the checksum, which fits."""
    import hashlib

    path = folder / "input.skeletons"

    def run(content: bytes) -> None:
        digest = hashlib.sha256(content).hexdigest()
        path.write_bytes(f"adasgn-edge data set, version 2\n{digest}\n".encode() + content)
        cache_file(path)

    return run


def log(path: Path) -> object:
    from adasgn_edge.train.log import read_log

    return read_log(path)


def reports(path: Path) -> object:
    """A report of `bench`, compared with itself."""
    from adasgn_edge.bench.comparison import compare
    from adasgn_edge.bench.report import read_report

    report = read_report(path)
    every((lambda: compare(report, report), lambda: compare(report, report, anyway=True)))
    return report


def measured(path: Path) -> object:
    from adasgn_edge.cli.plot import _read_models

    return _read_models(path)


def calibration(path: Path) -> object:
    from adasgn_edge.camera import read_calibration

    return read_calibration(path)


def build_facts(path: Path) -> object:
    from adasgn_edge.installation.build_info import read_build

    return read_build(path.parent)


def engine_facts(folder: Path) -> Run:
    """What stands beside an engine of TensorRT, which is a program and no parser's business."""
    from adasgn_edge.tensorrt.cache import read_engine

    engine, facts = folder / "input.engine", folder / "input.json"
    for file in (engine, facts):
        file.write_bytes(b"engine")
        file.chmod(0o600)  # others could write to it else

    def run(content: bytes) -> None:
        facts.write_bytes(content)
        read_engine(engine)

    return run


def model(path: Path) -> object:
    """Both readers of model files, and what is made of one that they take."""
    from adasgn_edge.deploy.model_file import ModelFile, read_model_file
    from adasgn_edge.engine import load, load_content

    content = path.read_bytes()
    every(
        (
            lambda: read_model_file(path),
            lambda: ModelFile.from_bytes(content),
            lambda: load(path, threads=1, max_batch=1),
            lambda: load_content(content, "input", threads=1),
        )
    )
    return None


def model_header(folder: Path) -> Run:
    """The JSON of a model file's header, with the length and the checksum that fit."""
    from adasgn_edge.deploy.model_file import DIGEST, _checksum

    path = folder / "input.adasgn"

    def run(content: bytes) -> None:
        whole = bytearray(struct.pack("<Q", len(content)) + content)
        if len(whole) >= DIGEST.stop:
            whole[DIGEST] = _checksum(whole)
        path.write_bytes(whole)
        model(path)

    return run


def fused(path: Path) -> object:
    from adasgn_edge.deploy.fused_file import read_fused_file

    return read_fused_file(path)


def replay(path: Path) -> object:
    from adasgn_edge.replay import Replay

    return Replay.load(path, threads=1)


def weights(path: Path) -> object:
    from adasgn_edge.model.weights import load_weights

    return load_weights(path)


def state(path: Path) -> object:
    from adasgn_edge.train.checkpoint import Origin, load_state

    return load_state(path, Origin("settings", "data"))


def weights_header(folder: Path) -> Run:
    """The metadata of weights, as JSON, beside one tensor."""
    from adasgn_edge.model.weights import FORMAT

    path = folder / "input.safetensors"

    def run(content: bytes) -> None:
        metadata = {FORMAT: content.decode(errors="replace")}
        tensors = {"classifier.bias": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}
        header = json.dumps({"__metadata__": metadata, **tensors}).encode()
        path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
        weights(path)

    return run


def stream(folder: Path) -> Run:
    """Lines of a live stream: each by itself, as the command reads them, and with the parser of frames."""
    from adasgn_edge.cli.feed import Malformed, parsed
    from adasgn_edge.data.description import described
    from adasgn_edge.data.stream_frames import FrameParser, frame_line, is_frame_line, line_facts

    def run(content: bytes) -> None:
        lines = content.split(b"\n")
        for parser in (FrameParser(stick()), FrameParser(stick(), described(stick()))):
            every(partial(line_facts, line) for line in lines)
            list(map(is_frame_line, lines))
            for frame in parsed(iter(lines), parser, Malformed(False, 5, lambda text: None)):
                again = FrameParser(stick(), described(stick())).parse(frame_line(frame))
                assert again is not None
                assert again.stamp_ns == frame.stamp_ns

    return run


def description(text: str) -> object:
    """Options of a source, divided by bars: source, axes, units, gravity, side."""
    from adasgn_edge.data.axes import parse_axes, parse_direction, parse_units
    from adasgn_edge.data.description import described
    from adasgn_edge.skeletons import load_layout

    name, axes, units, gravity, side = (text.split("|") + [""] * 5)[:5]
    every(
        (
            lambda: parse_axes(axes),
            lambda: parse_units(units),
            lambda: parse_direction(gravity, "gravity"),
            lambda: described(load_layout("shrec22"), name, axes=axes, units=units, gravity=gravity, side=side),
            lambda: described(stick(), axes=axes or None, units=units or None, gravity=gravity or None),
        )
    )
    return None


def names(folder: Path) -> Run:
    """Names that users give: of data sets, layouts, sources, recipes, branches and so on; a line for each."""
    from adasgn_edge.bench.settings import parse_rate
    from adasgn_edge.data.degrade import Degradation
    from adasgn_edge.data.ntu_protocol import SampleName
    from adasgn_edge.data.registry import open_dataset, open_online_dataset
    from adasgn_edge.data.sources import load_source
    from adasgn_edge.model.config import Branch
    from adasgn_edge.skeletons import load_layout
    from adasgn_edge.tensorrt.runtime import Version
    from adasgn_edge.train.online.recipe import load_online_recipe
    from adasgn_edge.train.recipe import load_recipe

    readers: tuple[Callable[[str], object], ...] = (
        partial(open_dataset, root=folder, cache_dir=folder), partial(open_online_dataset, root=folder), load_layout,
        load_source, load_recipe, partial(load_recipe, "shrec14"), load_online_recipe, Branch.parse, Degradation.parse,
        SampleName.parse, parse_rate, Version.parse,
    )  # fmt: skip

    def run(content: bytes) -> None:
        lines = content.decode(errors="surrogateescape").split("\n")
        every(partial(read, line) for line in lines[:4] for read in readers)

    return run


def environment(folder: Path) -> Run:
    """The environment variables that name folders: a line for each."""
    import os

    from adasgn_edge.data.registry import cached_path, open_dataset, user_cache_folder

    (folder / "SHREC17").mkdir()

    def run(content: bytes) -> None:
        before, place = dict(os.environ), Path.cwd()
        values = content.replace(b"\0", b"").split(b"\n")
        os.chdir(folder)  # where relative paths lead nowhere
        try:
            for name, value in zip((b"ADASGN_DATA", b"ADASGN_CACHE", b"XDG_CACHE_HOME", b"HOME"), values, strict=False):
                os.environb[name] = value
            every(
                (
                    user_cache_folder,
                    lambda: open_dataset("shrec14"),
                    lambda: cached_path("shrec14", folder),
                )
            )
        finally:
            os.environ.clear()
            os.environ.update(before)
            os.chdir(place)

    return run


def json_values() -> tuple[Callable[[Any], object], ...]:
    """Readers of values that stand in the metadata of weights and model files, in headers and in calibrations."""

    def described_stream(value: Any) -> object:
        from adasgn_edge.data.description import StreamDescription

        return StreamDescription.from_dict(StreamDescription.from_dict(value).to_dict())

    def intrinsics(value: Any) -> object:
        from adasgn_edge.data.perspective import Intrinsics

        return Intrinsics.from_dict(Intrinsics.from_dict(value).to_dict())

    def layout_of(value: Any) -> object:
        from adasgn_edge.skeletons import SkeletonLayout

        return SkeletonLayout.from_dict(value)

    def source_of(value: Any) -> object:
        from adasgn_edge.data.sources import Source

        return Source.from_dict(value)

    def effort(value: Any) -> object:
        from adasgn_edge.effort import EffortTable

        return EffortTable.from_json(value).threshold(0.3)

    def recognition(value: Any) -> object:
        from adasgn_edge.recognition import Recognition

        return Recognition.from_json(value)

    def config(value: Any) -> object:
        from adasgn_edge.model.config import ModelConfig
        from adasgn_edge.model.cost import CostTable

        return CostTable(ModelConfig.from_dict(value)).full

    def fold(value: Any) -> object:
        from adasgn_edge.data.folds import Fold

        return Fold.from_dict(value)

    return described_stream, intrinsics, layout_of, source_of, effort, recognition, config, fold


def model_description(text: str) -> object:
    from adasgn_edge.engine import ModelDescription

    return ModelDescription.from_json(text)


NATIVE = ("adasgn_edge._native",)
TORCH = ("torch", "safetensors")
RECIPES = ("pydantic",)
PARSERS: tuple[Parser, ...] = (
    Parser("npz", of_file("input.npz", *CLIP), (*CLIPS_COVER, "data.arrays.read_array_bodies")),
    Parser("npy", of_file("input.npy", *CLIP), (*CLIPS_COVER, "data.arrays.read_array_bodies")),
    Parser("csv", of_file("input.csv", *CLIP), (
        *CLIPS_COVER, "data.rows.read_table_bodies", "data.tables.read_table", "data.columns.find_columns",
        "data.reading.read_number_rows",
    )),
    Parser("tsv", of_file("input.tsv", *CLIP), ("data.tables.read_table",)),
    Parser("txt", of_file("input.txt", *CLIP), ("data.tables.read_table",)),
    Parser("csv_gz", of_file("input.csv.gz", *CLIP), ("data.reading.read_bytes",)),
    Parser("json", of_file("input.json", *CLIP), (
        *CLIPS_COVER, "data.documents.read_document_bodies", "data.documents.read_pose",
    )),
    Parser("jsonl", of_file("input.jsonl", *CLIP), (
        *CLIPS_COVER, "data.stream_frames.read_stream_bodies", "data.stream_frames.has_header",
    )),
    Parser("skeleton", of_file("input.skeleton", skeleton), ("data.ntu.read_skeleton_file",)),
    Parser("stream", stream, (
        "cli.feed.parsed", "data.stream_frames.frame_of", "data.stream_frames.is_frame_line",
        "data.stream_frames.line_facts", "data.stream_frames.written_places", "data.stream_frames.written_positions",
    )),
    Parser("labels", of_file("labels.csv", label_table), ("data.label_table.read_label_table",)),
    Parser("cuts", of_file("cuts.csv", cuts), ("data.cuts.read_cuts",)),
    Parser("layout", of_file("input.json", layout), (
        "skeletons.load_layout", "text_file.read_text", "text_file.read_json", "text_file.parse_json",
    )),
    Parser("source", of_file("input.json", source), ("data.sources.load_source",)),
    Parser("folder_labels", folder_of_recordings("labels.csv"), (
        "data.recordings.read_recordings", "data.recordings.RecordingFolder.open",
    )),
    Parser("folder_classes", folder_of_recordings("classes.txt"), ("data.recordings.read_recordings",)),
    Parser("folder_layout", folder_of_recordings("layout.json"), ("data.recordings.read_layout",)),
    Parser("folder_clip", folder_of_recordings("a.npz"), ("data.recordings.read_recordings",)),
    Parser("ntu", data_set(ntu), ("data.ntu.read_ntu", "data.ntu.read_skeleton_file")),
    Parser("nw_ucla", data_set(nw_ucla), ("data.nw_ucla.read_nw_ucla",)),
    Parser("shrec17", data_set(shrec17), ("data.shrec.read_shrec", "data.reading.read_number_rows")),
    Parser("shrec17_list", shrec17_list, ("data.shrec.read_shrec",)),
    Parser("shrec21_npz", shrec21("test.npz"), ("data.shrec21.read_shrec21",)),
    Parser("shrec21_annotations", shrec21("training_annotations.txt"), ("data.shrec21.read_shrec21",)),
    Parser("shrec21_text", of_file("1.txt", leap_text), ("data.shrec21.read_leap_text",)),
    Parser("cache", of_file("input.skeletons", cache_file), ("data.cache.load_dataset", "data.cache.read_checksum")),
    Parser("cache_body", cache_body, ("data.cache.load_dataset",)),
    Parser("variant", of_file("input.toml", variant), ("train.recipe.load_recipe",), RECIPES),
    Parser("recipe", of_file("input.toml", clip_recipe), (
        "train.recipe.load_recipe", "train.recipe.read_recipe", "train.stages.plan_stages",
    ), RECIPES),
    Parser("online_recipe", of_file("input.toml", online_recipe), (
        "train.online.recipe.load_online_recipe", "train.online.recipe.plan_online_stages",
    ), RECIPES),
    Parser("log", of_file("log.jsonl", log), ("train.log.read_log",)),
    Parser("bench_report", of_file("input.json", reports), ("bench.report.read_report",)),
    Parser("eval_json", of_file("input.json", measured), ()),
    Parser("calibration", of_file("input.json", calibration), ("camera.read_calibration",)),
    Parser("build_facts", of_file("_build.json", build_facts), (
        "installation.build_info.read_build", "installation.build_info.Part.from_record",
    )),
    Parser("model_file", of_file("input.adasgn", model), (
        "deploy.model_file.read_model_file", "deploy.model_file.ModelFile.from_bytes", "engine.load",
        "engine.load_content", "deploy.model_container.read_model_bytes",
    ), NATIVE),
    Parser("model_header", model_header, ("deploy.model_file.read_model_file", "engine.load"), NATIVE),
    Parser("model_description", of_text(model_description), ("engine.ModelDescription.from_json",)),
    Parser("fused", of_file("input.fused", fused, replay), (
        "deploy.fused_file.read_fused_file", "replay.Replay.load",
    ), NATIVE),
    Parser("weights", of_file("input.safetensors", weights), (
        "model.weights.load_weights", "model.tensor_file.read_tensors",
    ), TORCH),
    Parser("state", of_file("state.safetensors", state), ("train.checkpoint.load_state",), TORCH),
    Parser("weights_header", weights_header, ("model.weights.load_weights",), TORCH),
    Parser("values", of_json(*json_values()), (
        "data.description.StreamDescription.from_dict", "data.perspective.Intrinsics.from_dict",
        "data.perspective.Intrinsics.from_fov", "skeletons.SkeletonLayout.from_dict", "data.sources.Source.from_dict",
        "effort.EffortTable.from_json", "recognition.Recognition.from_json", "model.config.ModelConfig.from_dict",
        "data.folds.Fold.from_dict",
    )),
    Parser("options", of_text(description), (
        "data.description.described", "data.axes.parse_axes", "data.axes.parse_units", "data.axes.parse_direction",
    )),
    Parser("names", names, (
        "data.registry.open_dataset", "data.registry.open_online_dataset", "model.config.Branch.parse",
        "data.degrade.Degradation.parse", "data.ntu_protocol.SampleName.parse", "bench.settings.parse_rate",
        "tensorrt.runtime.Version.parse",
    ), RECIPES),
    Parser("engine_facts", engine_facts, ("tensorrt.cache.read_engine", "tensorrt.cache.EngineFacts.from_json")),
    Parser("environment", environment, ("data.registry.open_dataset",)),
)  # fmt: skip
"""Every one by name; names are those of the corpus' folders."""

UNTABLED = {
    "bench.machine.load_average": "asks the system",
    "bench.torch_reference.load_reference": "opens weights by load_weights",
    "cli.camera_input.open_camera": "opens a camera",
    "cli.feed.open_pipe": "opens a pipe and reads nothing",
    "data.hand_streams.read_hand_streams": "joins what read_shrec21 and read_shrec give",
    "regular_file.read_regular_file": "reads bytes and takes them for nothing",
    "tensorrt.engine.load": "opens a model file and an engine of the cache",
    "tensorrt.engine.load_model": "opens an engine of the cache by read_engine",
    "tensorrt.runtime.Version.from_number": "takes a number of TensorRT's own",
    "torch_ops.library.load_library": "loads compiled code of the installation",
    "torch_ops.module.load": "reads a model file by engine.load",
}
"""Functions whose names are those of readers, and why no parser stands for them."""
