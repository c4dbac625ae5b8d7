"""The report as a Markdown page."""

from __future__ import annotations

from typing import Any

from adasgn_edge.bench.machine import QUIET
from adasgn_edge.bench.runtimes import GRAPHS
from bench.aims import rate

__all__ = ["routing", "table", "to_markdown"]

NAMES = {
    "eager": "PyTorch eager",
    "compile": "torch.compile",
    "onnxruntime": "ONNX Runtime",
    "openvino": "OpenVINO",
    "dense": "**ours**, dense SGN",
    "adasgn": "**ours**, AdaSGN with a policy",
    "adasgn-shared": "**ours**, default AdaSGN",
    "sgemm": "sgemm,",
    "fma": "multiply-adds alone,",
}


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def to_markdown(report: dict[str, Any]) -> str:
    """The page; docs/benchmarks.md says how to read it."""
    parts = ["# Speed\n", _machine(report), "## Aims\n", _aims(report)]
    for subject, facts in report["subjects"].items():
        parts += [f"## {facts['title']}\n", f"Clips: {facts['clips']}. Weights: {facts['weights']}.\n"]
        parts.append("\n".join(f"- {routing(model, found)}" for model, found in facts["models"].items()) + "\n")
        of_subject = {name: group for name, group in report["groups"].items() if group["subject"] == subject}
        speeds = [group for group in of_subject.values() if group["kind"] == "speed"]
        for group in sorted(speeds, key=lambda group: (group["threads"], group["batch"])):
            parts += [_heading(group), _speed_table(group)]
        stages = {name: group for name, group in of_subject.items() if group["kind"] == "stages"}
        if stages:
            parts += ["### Where the time goes: one clip, one thread\n", _stages_table(stages)]
    return "\n".join(parts)


def _machine(report: dict[str, Any]) -> str:
    load = report["load_average"]
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    changes = " with uncommitted changes" if report["uncommitted_changes"] else ""
    lines = [
        f"- command: `{report['command']}`, {report['date']}, commit {report['commit']}{changes}",
        f"- processor: {report['cpu']}, {report['cpu_count']} cores ({' '.join(report['instruction_sets'])}); "
        f"clocks: {report['frequency']}",
        f"- versions: {versions}",
        f"- load average at the start {load['start'][0]}, at the end {load['end'][0]}",
        f"- before it was timed, every side's logits were within {report['tolerance']:g} of the reference in float64",
    ]
    if load["start"][0] > QUIET:
        lines.append("- **the machine was not quiet when this began: these times are not to be trusted; "
                     "ratios of sides, which take turns, suffer less**")  # fmt: skip
    if report["not_installed"]:
        lines.append(f"- not compared, because not installed: {', '.join(report['not_installed'])}")
    if report["quick"]:
        lines.append("- **a quick run, which shows that the benchmark works and nothing else**")
    return "\n".join(lines) + "\n"


def routing(model: str, facts: dict[str, Any]) -> str:
    """What a model's clips take, and what that costs."""
    cost = f"{1e-6 * facts['macs']:.2f} · 10⁶ MACs a clip"
    name = NAMES[model].rpartition(", ")[2]
    if len(facts["shares"]) == 1:
        return f"{name}: {cost}."
    shares = ", ".join(f"{branch} {share:.1%}" for branch, share in facts["shares"].items())
    effort = "" if facts["effort"] is None else f" at effort {facts['effort']:g} (threshold {facts['threshold']:.3f})"
    taken = "clips that end at" if facts["escalates"] else "frames that take"
    undecided = f"undecided and not compared: {facts['undecided']} of {facts['clips']} clips"
    return f"{name}{effort}: {cost} in the mean; {taken} each branch: {shares}; {undecided}."


def _aims(report: dict[str, Any]) -> str:
    rows = []
    for aim in report["aims"]:
        if aim["subject"] not in report["subjects"]:
            continue
        found = "not measured" if aim["ratio"] is None else f"{aim['ratio']:.3f}"
        met = {None: "–", True: "yes", False: "**no**"}[aim["met"]]
        rows.append([aim["aim"], aim["subject"], aim["ours"] or "–", aim["theirs"], found, met])
    return table(["aim", "model", "ours", "against", "ratio", "met"], rows)


def _heading(group: dict[str, Any]) -> str:
    clips = "1 clip" if group["batch"] == 1 else f"{group['batch']} clips"
    threads = "1 thread" if group["threads"] == 1 else f"{group['threads']} threads"
    return f"### {clips}, {threads}\n"


def _speed_table(group: dict[str, Any]) -> str:
    """Times in ms, and their ratio to OpenVINO's on either graph."""
    sides = group["sides"]
    references = [f"openvino {graph}" for graph in GRAPHS if f"openvino {graph}" in sides]
    columns = ["median ms", "mean", "p5", "p95", "p99", "runs", "clips/s", "GFLOP/s"]
    header = ["", *columns, *(f"÷ {name}" for name in references)]
    rows = []
    for name, side in sides.items():
        first, _, second = name.partition(" ")
        model = first not in ("sgemm", "fma")
        times = [_milliseconds(side[key]) for key in ("median", "mean", "p5", "p95", "p99")]
        typical = "mean" if first.startswith("adasgn") else "median"  # its clips differ in what they need
        flops = rate(side, typical)
        rows.append(
            [
                f"{NAMES[first]} {second if first not in GRAPHS else ''}",
                *times,
                str(side["runs"]),
                f"{group['batch'] / side[typical]:.0f}" if model else "",
                f"{1e-9 * flops:.1f}" if flops else "",
                *(f"{side['median'] / sides[reference]['median']:.3f}" if model else "" for reference in references),
            ]
        )
    return table(header, rows)


def _stages_table(groups: dict[str, dict[str, Any]]) -> str:
    """A row per stage; per instruction set the median, the rate and its share of what multiply-adds alone reach."""
    sets = {name.rpartition("-")[2]: group["sides"] for name, group in groups.items()}
    header, rows = ["stage", "10⁶ MACs"], []
    for isa in sets:
        header += [f"{isa} µs", "GFLOP/s", "of peak"]
    for name, example in next(iter(sets.values())).items():
        if name.startswith("fma "):
            continue
        row = [name, f"{1e-6 * example['macs']:.2f}"]
        for isa, sides in sets.items():
            varies = name.startswith("adasgn") and name.endswith((" branches", " run"))
            flops = rate(sides[name], "mean" if varies else "median")
            peak = rate(sides[f"fma {isa}"], "least") if f"fma {isa}" in sides else None
            row += [
                f"{1e6 * sides[name]['median']:.1f}",
                f"{1e-9 * flops:.1f}" if flops else "–",
                f"{flops / peak:.0%}" if flops and peak else "–",
            ]
        rows.append(row)
    peaks = [rate(sides[f"fma {isa}"], "least") for isa, sides in sets.items() if f"fma {isa}" in sides]
    row = ["multiply-adds alone (peak)", ""]
    for peak in peaks:
        row += ["", f"{1e-9 * peak:.1f}" if peak else "–", ""]
    return table(header, [*rows, row] if len(peaks) == len(sets) else rows)


def _milliseconds(seconds: float | None) -> str:
    return "–" if seconds is None else f"{1e3 * seconds:.3f}"
