"""NTU RGB+D 60 and 120 as published: sample names, action names, the four splits, samples without usable skeletons.

Sources: Shahroudy et al., CVPR 2016 (60 actions, setups 1-17, splits CS and CV); Liu et al., TPAMI 2019 (120 actions,
setups 1-32, splits CSub and CSet). The list of samples with missing skeletons is the data set's authors' own.
"""

from __future__ import annotations

import re
from importlib import resources
from typing import NamedTuple

from adasgn_edge.errors import DatasetError
from adasgn_edge.wording import shown

__all__ = ["ACTIONS", "SPLITS", "SampleName", "group_of", "missing_skeletons", "sample_of", "split_of"]

ACTIONS = (
    "drink water", "eat meal", "brush teeth", "brush hair", "drop", "pick up", "throw", "sit down", "stand up",
    "clap", "read", "write", "tear up paper", "put on jacket", "take off jacket", "put on a shoe", "take off a shoe",
    "put on glasses", "take off glasses", "put on a hat", "take off a hat", "cheer up", "wave a hand",
    "kick something", "reach into pocket", "hop on one foot", "jump up", "phone call", "play with phone",
    "type on a keyboard", "point to something", "take a selfie", "check time from watch", "rub hands together",
    "nod head or bow", "shake head", "wipe face", "salute", "put palms together", "cross hands in front",
    "sneeze or cough", "stagger", "fall down", "touch head", "touch chest", "touch back", "touch neck",
    "nausea or vomiting", "fan oneself", "punch or slap someone", "kick someone", "push someone",
    "pat someone on the back", "point at someone", "hug", "give something to someone", "touch someone's pocket",
    "shake hands", "walk towards each other", "walk apart from each other",
    "put on headphone", "take off headphone", "shoot at the basket", "bounce a ball", "swing a tennis bat",
    "juggle table tennis balls", "hush", "flick hair", "thumb up", "thumb down", "make OK sign", "make victory sign",
    "staple a book", "count money", "cut nails", "cut paper", "snap fingers", "open a bottle", "sniff", "squat down",
    "toss a coin", "fold paper", "ball up paper", "play magic cube", "apply cream on face",
    "apply cream on hand back", "put on a bag", "take off a bag", "put something into a bag",
    "take something out of a bag", "open a box", "move heavy objects", "shake fist", "throw up a cap",
    "both hands up", "cross arms", "arm circles", "arm swings", "run on the spot", "butt kicks", "cross toe touch",
    "side kick", "yawn", "stretch oneself", "blow nose", "hit someone with something", "wield knife at someone",
    "knock someone over", "grab someone's stuff", "shoot at someone with a gun", "step on someone's foot", "high-five",
    "cheers and drink", "carry something together", "take a photo of someone", "follow someone",
    "whisper in someone's ear", "exchange things", "support someone", "rock-paper-scissors",
)  # fmt: skip
"""The 120 actions in label order; the first 60 are those of NTU RGB+D 60."""

CS_TRAINING_SUBJECTS = frozenset((1, 2, 4, 5, 8, 9, 13, 14, 15, 16, 17, 18, 19, 25, 27, 28, 31, 34, 35, 38))
"""20 of the 40 subjects of NTU RGB+D 60."""
CSUB_TRAINING_SUBJECTS = CS_TRAINING_SUBJECTS | {
    45, 46, 47, 49, 50, 52, 53, 54, 55, 56, 57, 58, 59, 70, 74, 78, 80, 81, 82, 83, 84, 85, 86, 89, 91, 92, 93, 94, 95,
    97, 98, 100, 103,
}  # fmt: skip
"""53 of the 106 subjects of NTU RGB+D 120."""
CV_TRAINING_CAMERAS = frozenset((2, 3))

SPLITS = {"cs": 60, "cv": 60, "csub": 120, "cset": 120}
"""The published splits (cross-subject, cross-view, cross-subject, cross-setup) and how many actions each has."""

_NAME = re.compile(r"S(\d{3})C(\d{3})P(\d{3})R(\d{3})A(\d{3})", re.ASCII)


class SampleName(NamedTuple):
    """The five numbers of a name SsssCcccPpppRrrrAaaa, all from 1."""

    setup: int
    camera: int
    subject: int
    replication: int
    action: int

    def __str__(self) -> str:
        return "S{:03}C{:03}P{:03}R{:03}A{:03}".format(*self)

    @classmethod
    def parse(cls, text: str) -> SampleName:
        """Raises DatasetError for any other pattern, or a number that no sample of NTU RGB+D 120 has."""
        match = _NAME.fullmatch(text)
        if match is None:
            raise DatasetError(f"expected a name such as S001C002P003R002A013, found {shown(text)}")
        name = cls(*map(int, match.groups()))
        for field, number, largest in zip(cls._fields, name, (32, 3, 106, 2, len(ACTIONS)), strict=True):
            if not 1 <= number <= largest:
                raise DatasetError(f"{text}: expected the {field} from 1 to {largest}, found {number}")
        return name


def sample_of(file: str) -> str:
    """The name of a file's sample, in capitals: what it begins with, or all before the first dot if that is no name.

    So a suffix that somebody appended does no harm: ``s001c001p001r001a001_skel.skeleton`` is S001C001P001R001A001.
    """
    stem = file.split(".")[0].upper()
    match = _NAME.match(stem)
    return match[0] if match and not stem[match.end() :][:1].isalnum() else stem


def group_of(name: SampleName, split: str) -> str:
    """What a published split divides by: the subject ("cs", "csub"), camera ("cv") or setup ("cset") of a sample."""
    field = {"cv": "camera", "cset": "setup"}.get(split, "subject")
    return f"{field} {getattr(name, field)}"


def split_of(name: SampleName, split: str) -> str:
    """Whether a sample is "train" or "test" in one of :data:`SPLITS`."""
    if split == "cs":
        training = name.subject in CS_TRAINING_SUBJECTS
    elif split == "csub":
        training = name.subject in CSUB_TRAINING_SUBJECTS
    elif split == "cv":
        training = name.camera in CV_TRAINING_CAMERAS
    elif split == "cset":
        training = name.setup % 2 == 0
    else:
        raise DatasetError(f"expected a split among {', '.join(SPLITS)}, found {split!r}")
    return "train" if training else "test"


def missing_skeletons() -> frozenset[str]:
    """Names of the 535 samples that the authors list as having missing or incomplete skeletons."""
    text = (resources.files("adasgn_edge") / "data" / "ntu_missing_skeletons.txt").read_text(encoding="utf-8")
    return frozenset(line for line in text.splitlines() if line and not line.startswith("#"))
