"""Writes the valid files of the corpus, made by code: ``python -m tests.parsers.seeds``. Findings stay as they are."""

from __future__ import annotations

import gzip
import io
import json
import struct
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from adasgn_edge.data.cache import save_dataset
from adasgn_edge.data.dataset import DatasetBuilder
from adasgn_edge.data.description import StreamDescription, described
from adasgn_edge.data.stream_frames import StreamFrame, frame_line, header_line
from adasgn_edge.model.config import Branch, CausalShape, ModelConfig
from adasgn_edge.recognition import Recognition
from adasgn_edge.skeletons import load_layout
from tests.data.ntu_files import FIRST, SECOND, body_track, frames_of, skeleton_text
from tests.parsers.parser import CORPUS
from tests.parsers.recordings import positions, stick

Seeds = Mapping[str, bytes]
HEADER = "frame,foot_x,foot_y,foot_z,hip_x,hip_y,hip_z,head_x,head_y,head_z\n"


def seeds() -> dict[str, Seeds]:
    """The files of each parser's corpus by their names."""
    return {**clips(), **tables(), **documents(), **data_sets(), **training(), **models(), **texts()}


def npz(**arrays: np.ndarray) -> bytes:
    written = io.BytesIO()
    np.savez_compressed(written, **arrays)
    return written.getvalue()


def npy(array: np.ndarray) -> bytes:
    written = io.BytesIO()
    np.save(written, array)
    return written.getvalue()


def dumped(value: object) -> bytes:
    return json.dumps(value).encode()


def rows(delimiter: str, numbered: bool = True) -> str:
    lines = []
    for number, joints in enumerate(positions().tolist()):
        cells = [str(number)] if numbered else []
        lines.append(delimiter.join([*cells, *(f"{value:g}" for joint in joints for value in joint)]))
    return "\n".join(lines) + "\n"


def clips() -> dict[str, Seeds]:
    track = positions()
    table = HEADER + rows(",")
    long = "frame,joint,x,y,z\n" + "".join(
        f"{number},{joint},{x:g},{y:g},{z:g}\n"
        for number, joints in enumerate(track.tolist())
        for joint, (x, y, z) in zip(stick().joints, joints, strict=True)
    )
    frames = [{joint: dict(zip("xyz", point, strict=True)) for joint, point in zip(stick().joints, pose, strict=True)}
              for pose in track.tolist()]  # fmt: skip
    stream = [StreamFrame(number * 33_000_000, {"7": pose}) for number, pose in enumerate(track)]
    lines = "\n".join(map(frame_line, stream)) + "\n"
    header = header_line(StreamDescription.as_model(stick())) + "\n"
    sided = header_line(described(load_layout("shrec22"), side="track")) + "\n"
    single = '{"t": 0.5, "joints": [[1, 2, 3], null, [0, 0, 0]], "side": "left"}\n{"t": 0.6, "tracks": {}}\n'
    world = '{"t": 1, "tracks": {"1": {"image": [[1, 2], [3, 4], [5, 6]], "world": [[1, 2, 3], [1, 1, 1], [3, 2, 1]]}}}'
    bodies = frames_of(2, one=(FIRST, 0, body_track(2)), two=(SECOND, 1, body_track(1, 1)))
    return {
        "npz": {
            "valid": npz(positions=track),
            "valid-stamps": npz(positions=track, stamps_ns=np.arange(3) * 33_000_000),
            "valid-two": npz(keypoints=np.stack([track, track[::-1]]), labels=np.arange(2), name=np.array("wave")),
        },
        "npy": {"valid": npy(track), "valid-flat": npy(track.reshape(3, 9).astype("<f8")), "valid-whole": npy(
            np.asfortranarray(np.stack([track, track * 2]).astype("<i4")))},
        "csv": {"valid": table.encode(), "valid-long": long.encode(), "valid-bare": rows(",", False).encode()},
        "tsv": {"valid": table.replace(",", "\t").encode("utf-16")},
        "txt": {"valid": ("# made by code\n" + rows(" ", False)).encode()},
        "csv_gz": {"valid": gzip.compress(table.encode(), mtime=0)},
        "json": {
            "valid": dumped(track.tolist()),
            "valid-named": dumped({"frames": [{"frame": 1 + i, "id": 3, "joints": f} for i, f in enumerate(frames)]}),
            "valid-persons": dumped([[pose, None] for pose in track.tolist()]),
        },
        "jsonl": {
            "valid": (header + lines).encode(),
            "valid-bare": lines.encode(),
            "valid-frames": "\n".join(map(json.dumps, frames)).encode(),
        },
        "stream": {
            "seed": (header + lines).encode(),
            "seed-single": single.encode(),
            "seed-sides": (sided + single).encode(),
            "seed-world": world.encode(),
        },
        "skeleton": {"valid": skeleton_text(bodies).encode()},
        "ntu": {"valid": skeleton_text(bodies).encode()},
        "folder_clip": {"valid": npz(positions=track)},
    }  # fmt: skip


def tables() -> dict[str, Seeds]:
    labels = b"file,label,split,subject\na.npz,wave,train,1\nb.npz,nod,test,2\nc.npz,wave,train,1\n"
    return {
        "labels": {
            "valid": b"file,label,subject\na.npz,wave,1\nb.npz,nod,2\n",
            "seed-split": labels,
            "valid-numbers": b"sep=;\nlabel;file\n01;a.npz\n2.0;b.npz\n",
            "valid-quotes": b'file\tclass\tnote\n"a\tb.npz"\twave\tx\n',
        },
        "folder_labels": {"valid": labels, "valid-repeated": b"file,label\na,1\n./a.npz,1\nB.npz,2\nc.npz,2\n"},
        "folder_classes": {"valid": b"wave\nclap\n", "valid-numbers": b"1\n2\n"},
        "cuts": {
            "valid": b"start,end,label,subject\n0.5,1.5,wave,1\n2,3e0,nod,2\n",
            "valid-tabs": b"end\tlabel\tstart\n1\twave\t0\n",
        },
    }


def documents() -> dict[str, Seeds]:
    small = stick().to_dict()
    conventions = {
        "axes": "x right, y up, z back", "units": "m", "side": "body", "upright": ["foot", "head"], "extent": [1, 2.5],
        "chirality": {"plane": ["foot", "hip", "head"], "towards": [["foot", "hip"]]},
    }  # fmt: skip
    layout = {"valid": dumped(small), "valid-conventions": dumped({**small, "up": [0, 0, 1], "conventions": conventions,
        "origin": ["foot", "hip"], "scale_bone": None})}  # fmt: skip
    source = {
        "name": "my-stick", "about": "", "axes_note": "", "units_note": "", "facts": "", "hand": False, "camera": True,
        "centred": False, "aliases": ["mine"], "dimensions": 3, "axes": "optical", "units": "cm", "joints": ["a", "b"],
        "mappings": {"stick": {"foot": "a", "hip": {"a": 0.5, "b": 0.5}, "head": "b"}},
    }  # fmt: skip
    camera = {"width": 640, "height": 480, "horizontal_fov": 69.4}
    lens = {"fx": 600.0, "fy": 600, "cx": 320, "cy": 240, "width": 640, "height": 480, "distortion": [0.1, -0.1, 0, 0]}
    ros = {"image_width": 640, "image_height": 480, "camera_matrix": {"data": [600, 0, 320, 0, 600, 240, 0, 0, 1]},
           "distortion_model": "plumb_bob", "distortion_coefficients": {"data": [0.1, 0, 0, 0, 0]}}  # fmt: skip
    described_as = described(load_layout("shrec22"), "mediapipe-hand-21", axes="optical", units="mm", mirrored=True,
                             side="left", gravity=[0, 1, 0]).to_dict()  # fmt: skip
    fold = {
        "number": 1,
        "count": 3,
        "over": "train",
        "groups": ["1"],
        "held": 4,
        "clips": 12,
        "pool": "x",
        "by": "clip",
    }
    effort = {"default": 0.1, "table": [[0.0, 0.0, 10, None], [0.5, 0.25, 15, 0.9], [1.0, 2.0, 30, 0.95]]}
    causal = ModelConfig(24, 5, (Branch(24, "pose"),), 7, adaptive=False, causal=CausalShape((2, 4), (1, 2), 1, 1))
    old = {"joints": 22, "classes": 14, "frames": 20, "transform": True, "adaptive": True, "joint_sets": [1, 11],
           "sizes": ["small"]}  # fmt: skip
    return {
        "layout": layout,
        "folder_layout": {**layout, "seed-name": b'"kinect20"\n'},
        "source": {"valid": dumped(source)},
        "calibration": {"valid": dumped(camera), "valid-lens": dumped(lens), "valid-ros": dumped(ros)},
        "values": {
            "seed-layout": dumped(small),
            "seed-source": dumped(source),
            "seed-description": dumped({**described_as, "handedness": "left"}),
            "seed-camera": dumped(lens),
            "seed-fold": dumped(fold),
            "seed-effort": dumped(effort),
            "seed-recognition": dumped(Recognition(50_000_000, 4).to_json()),
            "seed-config": dumped(ModelConfig.dense(22, 14, 20).to_dict()),
            "seed-causal": dumped(causal.to_dict()),
            "seed-old": dumped(old),
        },
        "bench_report": {"valid": dumped(bench_report())},
        "eval_json": {"valid": dumped({"models": [
            {"name": "sgn", "stage": "sgn", "accuracy": 0.9, "paper_gflops": 0.1, "full_gflops": 0.2}]})},
        "build_facts": {"valid": dumped(build_record())},
    }  # fmt: skip


def bench_report() -> dict[str, object]:
    times = {"runs": 3, "mean": 0.002, "min": 0.001, "p50": 0.002, "p90": 0.003, "p99": None, "max": 0.003,
             "histogram": {"edges": [0.001, 0.002, 0.003], "counts": [1, 2]},
             "rounds": {"medians": [0.002, 0.002], "means": [0.002, 0.002]}, "macs": 100, "gmacs": 1.5,
             "of_limit": 0.5}  # fmt: skip
    board = {"model": None, "power_mode": None}
    return {
        "format": "adasgn_edge.bench.1", "command": "adasgn-edge bench", "date": "2026-01-01", "complete": True,
        "settings": {"device": "cpu", "threads": 1, "batches": [1], "clips": "hands", "models": [], "data": None,
                     "loop": None, "seconds": 1.0, "quick": True},
        "machine": {"processor": "x", "architecture": "x86_64", "cores": 2, "instruction_sets": ["avx2"],
                    "clocks": "2 GHz", "versions": {"numpy": "2.0"}, "load_average": {"start": [0.5], "end": [0.5]},
                    "board": {"start": board, "end": board}},
        "limit": {"gmacs": None, "instruction_set": "avx2", "what": "", "reason": "none"},
        "contenders": [{"name": "sgn", "title": "dense SGN", "kind": "dense", "weights": "random", "status": "right",
                        "error": 1e-7, "reason": None, "remedy": None, "accuracy": None}],
        "groups": {"batch-1": {"unit": "clip", "batch": 1, "threads": 1, "calls": 1, "rounds": 2, "throttled": [],
                               "sides": {"sgn": times}, "ratios": []}},
        "frontier": [], "cold_start": {}, "memory": {}, "loop": None,
    }  # fmt: skip


def build_record() -> dict[str, object]:
    part = {"built": False, "reason": "off", "remedy": "", "facts": {}}
    return {"version": 1, "machine": "x86_64", "compiler": "g++", "flags": "", "instruction_sets": {"avx2": "-mavx2"},
            "cuda": part, "torch": {**part, "cuda": part}}  # fmt: skip


def data_sets() -> dict[str, Seeds]:
    builder = DatasetBuilder("stick", stick(), ["wave", "nod"], 30.0)
    builder.add("a", 0, "train", [positions()], group="1")
    builder.add("b", 1, "test", [positions(2), positions(2)], group="2")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stick.skeletons"
        save_dataset(path, builder.build())
        cache = path.read_bytes()
    shrec = "".join(" ".join(f"{(place + frame) / 100:g}" for place in range(66)) + "\n" for frame in range(2))
    leap = "".join(";".join(f"{(place + frame) / 100:g}" for place in range(140)) + ";\n" for frame in range(2))
    sequence = np.full((4, 20, 3), 0.5, dtype=np.float32)
    return {
        "cache": {"valid": cache},
        "cache_body": {"valid": cache.split(b"\n", 2)[2]},
        "nw_ucla": {"valid": dumped({"file_name": "a01_s01_e00_v01", "label": 1, "skeletons": [[[1, 2, 3]] * 20] * 2})},
        "shrec17": {"valid": shrec.encode()},
        "shrec17_list": {"valid": b"1 1 1 1 1 1 2\n"},
        "shrec21_npz": {"valid": npz(**{"2": sequence})},
        "shrec21_annotations": {"valid": b"1;DENY;1;2;TAP;3;4;\r\n"},
        "shrec21_text": {"valid": leap.encode()},
    }


def training() -> dict[str, Seeds]:
    recipe = b"""name = "mine"
stages = ["sgn", "S-1", "adasgn-a4"]
balance = 0.5
[data]
dataset = "shrec14"
stream = "bone"
[model]
branches = ["P", "S-1"]
frames = 20
[augment]
rotation = [10, 20.0, 1e1]
jitter = 0.01
[single]
epochs = 10
course = "cosine"
min_steps = 100
augment = { scale = 0.2, crop = 0.9 }
[adaptive]
alpha = [1.0, 4]
[shared]
stride = 2
"""
    online = b"""name = "mine"
kind = "online"
dataset = "shrec21"
stages = ["stream"]
[grid]
step = 0.05
[model]
branches = ["P", "S-11"]
trail = [2, 4]
dilations = [1, 2]
origin = "palm"
[labels]
late = 0.1
[augment]
thin = 2
[schedule]
epochs = 3
"""
    log = {"epoch": 1, "train_loss": 2.5, "test_accuracy": 0.5, "learning_rate": 0.001}
    return {
        "recipe": {"valid": recipe},
        "variant": {"valid": b"[single]\nepochs = 3\nmilestones = [1, 2]\n"},
        "online_recipe": {"valid": online},
        "log": {"valid": dumped(log) + b"\n" + dumped({**log, "epoch": 2}) + b"\n"},
    }


def models() -> dict[str, Seeds]:
    """Files too small to be whole models, whose weights take megabytes: what a reader sees first of them."""
    import torch

    import adasgn_edge
    from adasgn_edge.deploy.model_container import header_length
    from adasgn_edge.deploy.model_file import read_model_file
    from adasgn_edge.model.weights import FORMAT, VERSION
    from adasgn_edge.train.checkpoint import Origin, save_state

    found: dict[str, Seeds] = {}
    headers: dict[str, bytes] = {}
    starts: dict[str, bytes] = {}
    for kind in ("clips", "hands"):
        content = adasgn_edge.shipped_model(kind).read_bytes()
        end = 8 + header_length(content)
        headers[f"seed-{kind}"], starts[f"seed-{kind}"] = content[8:end], content[: end + 64]
    found["model_header"], found["model_file"] = headers, starts
    model = read_model_file(adasgn_edge.shipped_model("clips"))
    description = {
        "kind": "adasgn", "config": model.config.to_dict(), "layout": stick().to_dict(), "class_names": ["a"],
        "stream": "joint", "window": 1.0, "precision": "f32", "cost": {"paper": [1], "full": [1], "folded": [1]},
    }  # fmt: skip
    found["model_description"] = {"valid": dumped(description)}
    archive = io.BytesIO()
    import zipfile

    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as members:
        for stream in ("joint", "bone"):
            members.writestr(zipfile.ZipInfo(f"{stream}.adasgn"), starts["seed-clips"][:600])
    found["fused"] = {"seed": archive.getvalue()}
    metadata = {
        "format": FORMAT, "version": VERSION, "config": ModelConfig.dense(3, 2, 20).to_dict(),
        "layout": stick().to_dict(), "stream": "joint", "class_names": ["wave", "nod"],
        "provenance": {"dataset": "stick", "seed": 0}, "action_shares": None, "effort": None,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.safetensors"
        save_state(path, Origin("settings", "data"), [{"epoch": 1, "loss": 0.5}], {"x": torch.zeros(2)})
        found["state"] = {"valid": path.read_bytes()}
    found["weights_header"] = {"seed": dumped(metadata)}
    tensors = {"classifier.bias": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}
    header = dumped({"__metadata__": {FORMAT: json.dumps(metadata)}, **tensors})
    found["weights"] = {"seed": struct.pack("<Q", len(header)) + header + bytes(8)}
    return found


def texts() -> dict[str, Seeds]:
    return {
        "options": {
            "seed": b"mediapipe-hand-21|optical|m|level|right",
            "seed-words": b"model|left down back|0.01|0, -9.81,0|left",
        },
        "names": {
            "seed": b"shrec14\nshrec22\nmediapipe-hand-21\npaper",
            "seed-more": b"S-11\nrate=20,jitter=0.3,drop=0.05\nS001C002P003R002A013.skeleton\n100 Hz",
            "seed-online": b"shrec21\nhands\nown\nopenxr_hand_26",
        },
        "environment": {"seed": b"/data\n/cache\n/xdg\n/home/me"},
    }


def write(corpus: Path = CORPUS) -> None:
    for name, files in seeds().items():
        folder = corpus / name
        folder.mkdir(parents=True, exist_ok=True)
        for file, content in files.items():
            (folder / file).write_bytes(content)


if __name__ == "__main__":
    write()
