"""What a model is made of: joint sets, sizes, frames, classes. The constants of the architecture live here only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

from adasgn_edge.errors import ModelConfigError
from adasgn_edge.wording import shown

__all__ = [
    "COORDINATES", "EMBEDDING", "FEATURE", "GRAPH_WIDTHS", "MAX_BRANCHES", "MAX_CLASSES", "MAX_COORDINATE",
    "MAX_FRAMES", "MAX_JOINTS", "MAX_LAYERS", "MAX_TRAIL", "NODE", "PAIR", "POSE", "POSE_HIDDEN", "SIZES", "STRIDES",
    "TAPS", "TEMPORAL", "Branch", "CausalShape", "ModelConfig", "branch_grid",
]  # fmt: skip

COORDINATES = 3
"""C: coordinates of a joint."""
EMBEDDING = 64
"""Width of the position, velocity and joint-type embeddings."""
NODE = 2 * EMBEDDING
"""Width of a joint's features x = [d; e] entering the first graph layer."""
PAIR = 256
"""Width of θ and φ, whose product is the adjacency."""
FEATURE = 256
"""Width of a frame's pooled feature."""
TEMPORAL = 512
"""Width of the last temporal layer, pooled over the frames and classified."""
TAPS = 3
"""Kernel size of the temporal convolutions."""
STRIDES = (1, 2)
"""Strides of the temporal module's first convolution; with either, every frame is seen."""
GRAPH_WIDTHS = {"small": (NODE, FEATURE), "big": (NODE, NODE, FEATURE, FEATURE)}
"""Widths before, between and after the adaptive graph layers of each size."""
SIZES = tuple(GRAPH_WIDTHS)
"""The sizes of a spatial module with graph layers."""
POSE = "pose"
"""The third kind of branch: all joints of a frame as one node, without a graph."""
POSE_HIDDEN = 256
"""Width between the two layers of a pose branch."""
MAX_JOINTS, MAX_FRAMES, MAX_CLASSES, MAX_BRANCHES = 256, 1024, 65536, 32
MAX_LAYERS, MAX_TRAIL = 16, 16
"""What a model may have, the native engine's limits too; nothing is built of a description that is beyond them."""
MAX_COORDINATE = 1e4
"""The largest coordinate of a clip that is classified. From 1e19 on products of activations are infinite, and ReLU
makes zeros of what comes of that; this is far below, and far above what normalised clips hold."""


class Branch(NamedTuple):
    """One way to make a frame's feature, that a frame can be routed to.

    A (joint set, size) pair of the paper, "S-11" and "B-11"; or, size "pose", all joints in one node, "P-22". Branches
    are in ascending order of cost: the pose branch first, then by joints and size.
    """

    joints: int
    size: str

    def __str__(self) -> str:
        return f"{self.size[0].upper()}-{self.joints}"

    @property
    def pose(self) -> bool:
        """Whether this is a pose branch."""
        return self.size == POSE

    @property
    def order(self) -> tuple[bool, int, int]:
        """What branches are sorted by."""
        return not self.pose, self.joints, (POSE, *SIZES).index(self.size)

    @classmethod
    def parse(cls, text: str) -> Branch:
        """The branch written as "S-1", "B-25" or "P-25"; raises ModelConfigError for anything else."""
        letters = {size[0].upper(): size for size in (POSE, *SIZES)}
        letter, dash, joints = text.strip().upper().partition("-")
        number = joints.isascii() and joints.isdigit() and len(joints) < 7
        if letter not in letters or not dash or not number or int(joints) < 1:
            raise ModelConfigError(f"expected a branch such as S-1, B-25 or P-25, found {shown(text, 40)}")
        return cls(int(joints), letters[letter])


def branch_grid(joint_sets: Sequence[int], sizes: Sequence[str] = SIZES) -> tuple[Branch, ...]:
    """The paper's branches: every size for every joint set."""
    return tuple(Branch(joints, size) for joints in joint_sets for size in sizes)


@dataclass(frozen=True)
class CausalShape:
    """What makes a model one for streams: a frame's feature depends on that frame and a few before it, never on where a
    window begins, so that features and convolutions of earlier frames may be kept.

    Every joint is taken relative to the origin joint of the same frame; where that joint was some frames ago, its
    trail, counts as further joints. trail: how many frames ago, ascending; dilations: of the temporal module's causal
    convolutions, one layer each; pool: the rows, up to the newest one, whose maximum is classified; origin: number of
    the origin joint.
    """

    trail: tuple[int, ...] = (2, 4, 8)
    dilations: tuple[int, ...] = (1, 2, 4)
    pool: int = 1
    origin: int = 0

    def __post_init__(self) -> None:
        def expect(ok: bool, expected: str, found: object) -> None:
            if not ok:
                raise ModelConfigError(f"causal model: expected {expected}, found {found}")

        for name in ("trail", "dilations"):
            values = tuple(getattr(self, name))
            object.__setattr__(self, name, values)
            ok = all(type(value) is int and value >= 1 for value in values)
            expect(ok, f"{name} of whole numbers, at least 1", shown(list(values)))
        expect(list(self.trail) == sorted(set(self.trail)), "an ascending trail", shown(list(self.trail)))
        expect(len(self.trail) <= MAX_TRAIL, f"a trail of at most {MAX_TRAIL}", len(self.trail))
        expect(self.lead <= MAX_FRAMES, f"a trail of less than {MAX_FRAMES} frames", self.lead)
        expect(len(self.dilations) >= 1, "at least one dilation", "none")
        expect(len(self.dilations) <= MAX_LAYERS, f"at most {MAX_LAYERS} temporal layers", len(self.dilations))
        expect(type(self.pool) is int and self.pool >= 1, "a maximum over one row or more", shown(self.pool))
        expect(type(self.origin) is int and self.origin >= 0, "the number of an origin joint", shown(self.origin))

    @property
    def lead(self) -> int:
        """Frames before a frame that its feature depends on."""
        return max(self.trail, default=0) + 1

    @property
    def frames(self) -> int:
        """T: features that the newest frame's logits depend on."""
        return self.pool + (TAPS - 1) * sum(self.dilations)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"trail": list(self.trail), "dilations": list(self.dilations), "pool": self.pool, "origin": self.origin}


@dataclass(frozen=True)
class ModelConfig:
    """Everything that fixes a model's shape.

    joints: V of the input; branches: in ascending order of cost, the position is the action number; frames: T; classes:
    number of labels; transform: whether the joints of branches with a graph go through a learned M_i (dense SGN has
    none); adaptive: a policy picks a branch for each frame; escalates: every clip takes the first branch, those that
    are unsure then the next (and so on), probabilities averaged; a model that does neither has one branch. stride: of
    the temporal module's first convolution, 1 as in the paper or 2 for half of its cost. causal: of a model for
    streams, whose V counts the trail too and whose T follows from its temporal module.
    """

    joints: int
    classes: int
    branches: tuple[Branch, ...]
    frames: int = 20
    transform: bool = True
    adaptive: bool = True
    escalates: bool = False
    stride: int = 1
    causal: CausalShape | None = None

    def __post_init__(self) -> None:
        def expect(ok: bool, expected: str, found: object) -> None:
            if not ok:
                raise ModelConfigError(f"model: expected {expected}, found {found}")

        object.__setattr__(self, "branches", tuple(self.branches))
        for name in ("joints", "classes", "frames", "stride"):
            value = getattr(self, name)
            expect(type(value) is int, f"{name} as a whole number", shown(value))
        for name in ("transform", "adaptive", "escalates"):
            expect(type(getattr(self, name)) is bool, f"{name} as true or false", shown(getattr(self, name)))
        expect(self.joints >= 1, "at least one joint", self.joints)
        expect(self.joints <= MAX_JOINTS, f"at most {MAX_JOINTS} joints", self.joints)
        expect(self.classes >= 2, "at least two classes", self.classes)
        expect(self.classes <= MAX_CLASSES, f"at most {MAX_CLASSES} classes", self.classes)
        expect(self.frames >= 1, "at least one frame", self.frames)
        expect(self.frames <= MAX_FRAMES, f"at most {MAX_FRAMES} frames", self.frames)
        expect(self.stride in STRIDES, "a stride of 1 or 2", self.stride)
        expect(len(self.branches) > 0, "at least one branch", "none")
        expect(len(self.branches) <= MAX_BRANCHES, f"at most {MAX_BRANCHES} branches", len(self.branches))
        names = ", ".join(self.branch_names)
        for branch in self.branches:
            expect(branch.joints <= MAX_JOINTS, f"branches of at most {MAX_JOINTS} joints", branch.joints)
            expect(branch.size in (POSE, *SIZES), f"a size among {', '.join((POSE, *SIZES))}", repr(branch.size))
            expect(branch.joints >= 1, "branches of at least 1 joint", branch)
            expect(branch.joints == self.joints or not branch.pose, f"a pose branch of {self.joints} joints", branch)
        ascending = sorted(set(self.branches), key=lambda branch: branch.order)
        expect(list(self.branches) == ascending, "branches in ascending order of cost, none twice", names)
        expect(not (self.adaptive and self.escalates), "a policy or escalation", "both")
        dense = self.branches == (Branch(self.joints, "big"),) and not (self.adaptive or self.escalates)
        expect(self.transform or dense, f"a transform, or dense SGN's only branch, B-{self.joints}", names)
        expect(not self.escalates or len(self.branches) > 1, "two branches or more in a model that escalates", names)
        expect(self.routes or len(self.branches) == 1, "one branch in a model without policy or escalation", names)
        if self.causal is not None:
            expect(not self.adaptive, "a causal model without policy", "one")
            expect(self.stride == 1, "a causal model with stride 1", self.stride)
            expect(self.frames == self.causal.frames, f"a causal model of {self.causal.frames} frames", self.frames)
            recorded = f"a causal model's origin among {self.recorded_joints} joints"
            expect(self.causal.origin < self.recorded_joints, recorded, self.causal.origin)

    @property
    def routes(self) -> bool:
        """Whether frames or clips differ in the branches they take."""
        return self.adaptive or self.escalates

    @property
    def recorded_joints(self) -> int:
        """Joints of a recording: V, but for the trail of a causal model."""
        return self.joints - (len(self.causal.trail) if self.causal is not None else 0)

    @property
    def clip_frames(self) -> int:
        """Frames of a clip: T, and those before that a causal model's features need."""
        return self.frames + (self.causal.lead if self.causal is not None else 0)

    @property
    def temporal_frames(self) -> int:
        """Rows that a clip has after the temporal module's first convolution: T / stride, rounded up."""
        return -(-self.frames // self.stride)

    @property
    def branch_names(self) -> tuple[str, ...]:
        """Names such as ("S-1", "B-1", "S-9", …) in action order."""
        return tuple(map(str, self.branches))

    @property
    def joint_sets(self) -> tuple[int, ...]:
        """Reduced joint counts V_i of the branches with a graph, ascending."""
        return tuple(sorted({branch.joints for branch in self.branches if not branch.pose}))

    def single(self, branch: Branch) -> ModelConfig:
        """The configuration of the model that runs this one branch on every frame."""
        if branch not in self.branches:
            raise ModelConfigError(f"expected one of the branches {', '.join(self.branch_names)}, found {branch}")
        return replace(self, branches=(branch,), transform=True, adaptive=False, escalates=False)

    @classmethod
    def dense(cls, joints: int, classes: int, frames: int = 20, causal: CausalShape | None = None) -> ModelConfig:
        """Dense SGN: the big module with all joints, untransformed, on every frame."""
        branches = (Branch(joints, "big"),)
        return cls(joints, classes, branches, frames, transform=False, adaptive=False, causal=causal)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; "causal" only of causal models."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        causal = values.pop("causal")
        values["branches"] = list(self.branch_names)
        return values if causal is None else values | {"causal": causal.to_dict()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ModelConfig:
        """Inverse of :meth:`to_dict`; raises ModelConfigError for missing or unknown keys.

        Configurations from before there were pose branches have "joint_sets" and "sizes" in place of "branches", and
        none of them escalates or has a stride.
        """
        known = {field.name for field in fields(cls)} - {"causal"}
        causal = None
        if isinstance(data, dict) and "causal" in data:
            causal = _read_causal(data["causal"])
            data = {key: value for key, value in data.items() if key != "causal"}
        for key in {"branches", "joint_sets", "sizes"} & set(data if isinstance(data, dict) else ()):
            kind = int if key == "joint_sets" else str
            values = data[key]
            if not isinstance(values, list | tuple) or not all(type(value) is kind for value in values):
                what = "whole numbers" if kind is int else "texts"
                raise ModelConfigError(f"model: expected {key} as a list of {what}, found {shown(values)}")
        if isinstance(data, dict) and {"joint_sets", "sizes"} <= set(data) and "branches" not in data:
            if len(data["joint_sets"]) * len(data["sizes"]) > MAX_BRANCHES:
                raise ModelConfigError(f"model: expected at most {MAX_BRANCHES} branches, found more")
            rest = {key: value for key, value in data.items() if key not in ("joint_sets", "sizes")}
            data = {
                **rest,
                "escalates": False,
                "stride": 1,
                "branches": list(map(str, branch_grid(data["joint_sets"], data["sizes"]))),
            }
        if not isinstance(data, dict) or set(data) != known:
            raise ModelConfigError(f"model: expected the keys {', '.join(sorted(known))}, found {shown(data, 200)}")
        return cls(**{**data, "branches": tuple(map(Branch.parse, data["branches"])), "causal": causal})


def _read_causal(data: Any) -> CausalShape:
    known = {field.name for field in fields(CausalShape)}
    if not isinstance(data, dict) or set(data) != known:
        raise ModelConfigError(f"causal model: expected the keys {', '.join(sorted(known))}, found {shown(data, 200)}")
    for name in ("trail", "dilations"):
        if not isinstance(data[name], list | tuple):
            raise ModelConfigError(f"causal model: expected {name} as a list, found {shown(data[name])}")
    return CausalShape(**{**data, "trail": tuple(data["trail"]), "dilations": tuple(data["dilations"])})
