"""Every parser of the package, for the property test and for the fuzzer (tools/fuzz_parsers.py)."""

from __future__ import annotations

from tests.parsers.models import engine_facts, fused, model, model_header, replay, state, weights, weights_header
from tests.parsers.parser import Parser, of_file, of_json, of_text
from tests.parsers.recordings import (
    CLIP,
    CLIPS_COVER,
    cache_body,
    cache_file,
    cuts,
    data_set,
    folder_of_recordings,
    label_table,
    leap_text,
    ntu,
    nw_ucla,
    shrec17,
    shrec17_list,
    shrec21,
    skeleton,
    stream,
)
from tests.parsers.settings import (
    build_facts,
    calibration,
    clip_recipe,
    description,
    environment,
    json_values,
    layout,
    log,
    measured,
    model_description,
    names,
    online_recipe,
    reports,
    source,
    variant,
)

__all__ = ["PARSERS", "UNTABLED"]

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
