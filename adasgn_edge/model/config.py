"""What a model is made of: joint sets, sizes, frames, classes. The constants of the architecture live here only."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple

from adasgn_edge.errors import ModelConfigError

__all__ = [
    "COORDINATES", "EMBEDDING", "FEATURE", "GRAPH_WIDTHS", "MAX_COORDINATE", "NODE", "PAIR", "SIZES", "TAPS",
    "TEMPORAL", "Branch", "ModelConfig",
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
GRAPH_WIDTHS = {"small": (NODE, FEATURE), "big": (NODE, NODE, FEATURE, FEATURE)}
"""Widths before, between and after the adaptive graph layers of each size."""
SIZES = tuple(GRAPH_WIDTHS)
MAX_COORDINATE = 1e4
"""The largest coordinate of a clip that is classified. From 1e19 on products of activations are infinite, and ReLU
makes zeros of what comes of that; this is far below, and far above what normalised clips hold."""


class Branch(NamedTuple):
    """One (joint set, size) pair that a frame can be routed to."""

    joints: int
    size: str

    def __str__(self) -> str:
        return f"{self.size[0].upper()}-{self.joints}"

    @classmethod
    def parse(cls, text: str) -> Branch:
        """The branch written as "S-1" or "B-25"; raises ModelConfigError for anything else."""
        letters = {size[0].upper(): size for size in SIZES}
        letter, dash, joints = text.strip().upper().partition("-")
        if letter not in letters or not dash or not joints.isdigit() or int(joints) < 1:
            raise ModelConfigError(f"expected a branch such as S-1 or B-25, found {text!r}")
        return cls(int(joints), letters[letter])


@dataclass(frozen=True)
class ModelConfig:
    """Everything that fixes a model's shape.

    joints: V of the input; joint_sets: reduced joint counts V_i, ascending; sizes: spatial module sizes used;
    transform: whether joints go through a learned M_i (dense SGN has none); frames: T; classes: number of labels;
    adaptive: AdaSGN with a policy (True), or one branch on every frame (False, exactly one joint set and size).
    """

    joints: int
    classes: int
    joint_sets: tuple[int, ...]
    sizes: tuple[str, ...] = SIZES
    frames: int = 20
    transform: bool = True
    adaptive: bool = True

    def __post_init__(self) -> None:
        def expect(ok: bool, expected: str, found: object) -> None:
            if not ok:
                raise ModelConfigError(f"model: expected {expected}, found {found}")

        object.__setattr__(self, "joint_sets", tuple(self.joint_sets))
        object.__setattr__(self, "sizes", tuple(self.sizes))
        expect(self.joints >= 1, "at least one joint", self.joints)
        expect(self.classes >= 2, "at least two classes", self.classes)
        expect(self.frames >= 1, "at least one frame", self.frames)
        expect(len(self.joint_sets) > 0, "at least one joint set", "none")
        expect(
            list(self.joint_sets) == sorted(set(self.joint_sets)) and self.joint_sets[0] >= 1,
            "joint sets of at least 1 joint, ascending, none twice",
            self.joint_sets,
        )
        expect(
            len(self.sizes) > 0 and [s for s in SIZES if s in self.sizes] == list(self.sizes),
            f"sizes among {SIZES} in this order, none twice",
            self.sizes,
        )
        expect(self.transform or self.joint_sets == (self.joints,), "a transform, or all joints", self.joint_sets)
        expect(self.adaptive or len(self.branches) == 1, "one branch in a model without policy", self.branch_names)

    @property
    def branches(self) -> tuple[Branch, ...]:
        """All branches in ascending cost; the position is the action number."""
        return tuple(Branch(joints, size) for joints in self.joint_sets for size in self.sizes)

    @property
    def branch_names(self) -> tuple[str, ...]:
        """Names such as ("S-1", "B-1", "S-9", …) in action order."""
        return tuple(map(str, self.branches))

    def single(self, branch: Branch) -> ModelConfig:
        """The configuration of the model that runs this one branch on every frame."""
        if branch not in self.branches:
            raise ModelConfigError(f"expected one of the branches {', '.join(self.branch_names)}, found {branch}")
        return ModelConfig(self.joints, self.classes, (branch.joints,), (branch.size,), self.frames, True, False)

    @classmethod
    def dense(cls, joints: int, classes: int, frames: int = 20) -> ModelConfig:
        """Dense SGN: the big module with all joints, untransformed, on every frame."""
        return cls(joints, classes, (joints,), ("big",), frames, transform=False, adaptive=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ModelConfig:
        """Inverse of :meth:`to_dict`; raises ModelConfigError for missing or unknown keys."""
        known = {field.name for field in fields(cls)}
        if not isinstance(data, dict) or set(data) != known:
            raise ModelConfigError(f"model: expected the keys {', '.join(sorted(known))}, found {data!r}")
        return cls(**data)
