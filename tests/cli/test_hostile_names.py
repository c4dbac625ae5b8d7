"""Names that would act on a terminal, or be taken for rich's markup, in every place that a command shows one from."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("typer")
pytest.importorskip("adasgn_edge._native", reason="the native engine is not built")

import adasgn_edge
from adasgn_edge.data.stream_frames import StreamFrame, frame_line
from adasgn_edge.deploy.model_file import read_model_file, write_model_file
from adasgn_edge.hands import animate, perform
from tests.cli.conftest import status_of

EVIL = "\x1b]0;owned\x07\x9b31m\u202e[/bold][red]:bomb:"
RAW = ("\x1b]", "\x07", "\x9b", "\u202e", "\x08", "\U0001f4a3")
"""What must not come out: the sequence that sets a window's title, single controls, and the emoji of the name."""
SHOWN = r"\x1b]0;owned\x07\x9b31m\u202e[/bold][red]:bomb:"


def harmless(text: str) -> bool:
    return not any(raw in text for raw in RAW)


def evil_model(path: Path, kind: str) -> Path:
    """A shipped model with other names."""
    model = read_model_file(adasgn_edge.shipped_model(kind))
    names = tuple(f"{name} {EVIL}" for name in model.class_names)
    layout = replace(model.layout, name=EVIL)
    write_model_file(path, replace(model, class_names=names, layout=layout, provenance={EVIL: EVIL}))
    return path


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    evil_model(folder / f"clips{EVIL.replace('/', '-')}.adasgn", "clips")
    evil_model(folder / "stream.adasgn", "hands")
    return folder


@pytest.fixture
def clips_model(models) -> Path:
    return next(models.glob("clips*"))


@pytest.fixture
def clip(tmp_path) -> Path:
    path = tmp_path / f"clip{EVIL.replace('/', '-')}.npz"
    np.savez(path, positions=animate("Swipe V", seed=4))
    return path


@pytest.fixture
def run(capfd) -> Iterator[Callable[..., str]]:
    """Runs a command; what it printed, which is harmless."""

    def printed(*arguments: object, status: int = 0) -> str:
        found = status_of(*arguments)
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        assert found == status, err
        assert harmless(out + err)
        return out + err

    return printed


def test_classify(run, clips_model, clip):
    assert SHOWN[:12] in run("classify", clip, "--model", clips_model)
    row = json.loads(run("classify", clip, "--model", clips_model, "--json"))
    assert row["label"].endswith(EVIL)
    run("classify", clip.parent / f"none{EVIL}.npz", "--model", clips_model, status=1)


def test_replay_and_demo(run, clips_model, clip):
    run("replay", clip, "--model", clips_model)
    run("replay", clip, "--model", clips_model, "--json")
    folder = clip.parent
    (folder / "layout.json").write_text(json.dumps(read_model_file(clips_model).layout.to_dict()))
    (folder / "labels.csv").write_text(f"file,label,split\n{clip.name},Swipe V {EVIL},test\n{clip.name},x,test\n")
    run("demo", "--no-live", "--data", folder, "--model", clips_model, status=2)
    (folder / "labels.csv").write_text(f"file,label,split\n{clip.name},Swipe V {EVIL},test\n")
    assert "owned" in run("demo", "--no-live", "--data", folder, "--model", clips_model)


def test_doctor_looks_at_a_file(run, clip):
    assert "owned" in run("doctor", "--source", clip, "--layout", "shrec22")
    assert json.loads(run("doctor", "--source", clip, "--layout", "shrec22", "--json"))["path"] == str(clip)


@pytest.mark.parametrize("options", [(), ("--json",), ("--json", "--steps")], ids=["text", "json", "steps"])
def test_stream(run, models, tmp_path, options):
    hand = perform([("Swipe Left", False), ("Grab", False)], seed=4).positions
    lines = [frame_line(StreamFrame(33_333_333 * n, {EVIL: joints})) for n, joints in enumerate(hand)]
    path = tmp_path / f"stream{EVIL.replace('/', '-')}.jsonl"
    path.write_text("\n".join([*lines, '{"' + "\\u001b]0;owned" + '": 1}', "\x1b]0;owned\x07"]) + "\n")
    said = run("stream", path, "--model", models / "stream.adasgn", "--source", "model", *options)
    assert "owned" in said


def test_recipes_data_sets_and_folders(run, tmp_path):
    pytest.importorskip("pydantic")
    for kind in ("", 'kind = "online"\n'):
        recipe = tmp_path / f"recipe{EVIL.replace('/', '-')}.toml"
        recipe.write_text(f'{kind}name = "x"\n"\\u001b]0;owned" = 1\n[data]\ndataset = "\\u001b]0;owned\\u0007"\n')
        run("train", recipe, status=2)
    run("convert", EVIL, status=2)
    folder = tmp_path / f"folder{EVIL.replace('/', '-')}"
    folder.mkdir()
    np.savez(folder / "a.npz", positions=animate("Swipe V", seed=4))
    (folder / "layout.json").write_text('"shrec22"')
    (folder / "labels.csv").write_text(f"file,label,{EVIL}\na.npz,wave{EVIL},1\n{EVIL}.npz,nod{EVIL},\n")
    run("convert", folder, "--on-bad-sample", "skip", "--out", tmp_path / "out.skeletons")
    run("convert", folder, status=2)


def test_live_views(models, clips_model):
    """What is drawn on a terminal."""
    from adasgn_edge.cli.console import SafeConsole
    from adasgn_edge.cli.playback import PlayedClip, Tally, play_live
    from adasgn_edge.cli.session import Session
    from adasgn_edge.cli.stream_view import StreamScreen, StreamView
    from adasgn_edge.recogniser import Recogniser
    from adasgn_edge.replay import Replay

    written = io.StringIO()
    console = SafeConsole(file=written, force_terminal=True, width=200, height=50)
    replay = Replay.load(clips_model, threads=1)
    clip = PlayedClip(f"clip {EVIL}", None, [animate("Swipe V", seed=4)[:5]], 30.0)
    play_live(console, replay, [clip], Tally(), speed=1e6)
    session = Session(Recogniser(models / "stream.adasgn"))
    with StreamView(console, StreamScreen(session, f"title {EVIL}")) as view:
        for number, joints in enumerate(perform([("Grab", False)], seed=4).positions[:60]):
            frame = StreamFrame(33_333_333 * number, {EVIL: joints})
            view.take(frame, session.push(frame))
    drawn = written.getvalue()
    assert "owned" in drawn
    assert harmless(drawn)
