"""The report of a GPU as a Markdown page."""

from __future__ import annotations

from typing import Any

from bench.gpu.aims import WAYS, floor
from bench.gpu.peers import NAMES
from bench.markdown import table

__all__ = ["to_markdown"]

COLUMNS = ("median", "mean", "p5", "p95", "p99")


def to_markdown(report: dict[str, Any]) -> str:
    """The page; docs/benchmarks.md says how to read it."""
    parts = ["# Speed on a GPU\n", _machine(report), "## Aims\n", _aims(report["aims"])]
    for group in report["groups"]:
        parts.append(f"## {'1 clip' if group['batch'] == 1 else str(group['batch']) + ' clips'}\n")
        parts += [_times(group, report["ceilings"])]
        if group["schedules"]:
            parts += ["Schedules, µs on the device:\n", _schedules(group)]
    return "\n".join(parts)


def _machine(report: dict[str, Any]) -> str:
    gpu, ceilings = report["gpu"], report["ceilings"]
    caches = {"dram": "DRAM", "l2": "second-level cache"}
    known = {unit: ceilings[name] for name, unit in caches.items() if ceilings[name]}
    rates = [f"{1e-9 * rate:.0f} GB/s of copies in the {unit}" for unit, rate in known.items()]
    if ceilings["fp16"]:
        rates.append(f"{1e-12 * ceilings['fp16']:.1f} TFLOP/s of a large float16 product")
    changes = " with uncommitted changes" if report["uncommitted_changes"] else ""
    smi = {when: ", ".join(f"{k} {v}" for k, v in found.items()) for when, found in report["nvidia_smi"].items()}
    lines = [
        f"- command: `{report['command']}`, {report['date']}, commit {report['commit']}{changes}",
        f"- GPU: {gpu['device']}, compute capability {gpu['compute_capability']}, {gpu['multiprocessors']} "
        f"multiprocessors; CUDA {gpu['cuda']}, of torch {gpu['torch_cuda']}",
        f"- nvidia-smi before: {smi['before'] or 'not readable'}; after: {smi['after'] or 'not readable'}",
        f"- versions: {', '.join(f'{name} {version}' for name, version in report['versions'].items())}",
        f"- clips: {report['clips']}; models: {', '.join(f'{k}: {v}' for k, v in report['models'].items())}",
        *(
            f"- branches that {'clips end at' if model == 'escalating' else 'frames take'} ({model}): "
            f"{', '.join(f'{name} {share:.1%}' for name, share in shares.items())}"
            for model, shares in report["action_shares"].items()
        ),
        f"- ceilings, {ceilings['source']}: {', '.join(rates) or 'none'}",
        "- before a side was timed, its logits were within its tolerance of the reference in float64: "
        f"f32 {report['tolerances']['f32']:.0e}, f16 "
        f"{', '.join(f'{value:.1e} ({name})' for name, value in report['tolerances']['f16'].items())}, "
        f"other runtimes {report['tolerances']['others']:.0e}",
    ]
    lines += [f"- **not compared: {name}: {reason}**" for name, reason in report["missing"].items()]
    if report["quick"]:
        lines.append("- **a quick run, which shows that the benchmark works and nothing else**")
    return "\n".join(lines) + "\n"


def _aims(aims: list[dict[str, Any]]) -> str:
    rows = []
    for aim in aims:
        found = "not measured" if aim["found"] is None else f"{aim['found']:.2f} {aim['unit']}"
        met = {None: "–", True: "yes", False: "**no**"}[aim["met"]]
        rows.append([aim["aim"], aim["ours"], aim["against"], found, met])
    return table(["aim", "ours", "against", "found", "met"], rows)


def _times(group: dict[str, Any], ceilings: dict[str, Any]) -> str:
    header = ["", "", *(f"{name} µs" for name in COLUMNS), "runs", "clips/s", "floor µs", "÷ floor"]
    rows = []
    for way, meaning in WAYS.items():
        for side, times in group[way].items():
            work = group["work"].get(side)
            least = floor(work, ceilings) if work else None
            rows.append(
                [
                    meaning,
                    NAMES.get(side, f"**ours**, {side}"),
                    *("–" if times[name] is None else f"{1e6 * times[name]:.1f}" for name in COLUMNS),
                    str(times["runs"]),
                    f"{group['batch'] / times['median']:.0f}",
                    "–" if least is None else f"{1e6 * least:.2f}",
                    "–" if least is None else f"{times['median'] / least:.1f}",
                ]
            )
    return table(header, rows)


def _schedules(group: dict[str, Any]) -> str:
    rows = []
    for side, schedules in group["schedules"].items():
        medians = {name: times["median"] for name, times in schedules.items() if "median" in times}
        best = min(medians, key=lambda name: medians[name], default="")
        chosen = group["device"][side]["median"]
        rows.append([side, "what the engine chooses", f"{1e6 * chosen:.1f}", f"{1e6 * group['device'][side]['p5']:.1f}"
                     if group["device"][side]["p5"] else "–"])  # fmt: skip
        for name, times in schedules.items():
            if "median" not in times:
                rows.append([side, name, times["reason"], ""])
                continue
            shown = f"{1e6 * times['median']:.1f}"
            p5 = "–" if times["p5"] is None else f"{1e6 * times['p5']:.1f}"
            rows.append([side, name, f"**{shown}**" if name == best else shown, p5])
    return table(["", "schedule", "median", "p5"], rows)
