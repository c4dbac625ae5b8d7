"""The comparison of ways to route: what each way sends where, and what it is charged for it."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from adasgn_edge.model.adasgn import build_model  # noqa: E402
from adasgn_edge.model.config import Branch, ModelConfig  # noqa: E402
from adasgn_edge.model.cost import CostTable  # noqa: E402
from adasgn_edge.skeletons import load_layout  # noqa: E402
from bench import routing  # noqa: E402
from bench.routing import Half, Routing  # noqa: E402

CONFIG = ModelConfig(
    22, 4, (Branch(22, "pose"), Branch(11, "small")), frames=8, adaptive=False, escalates=True, stride=2
)


@pytest.fixture(scope="module")
def ways():
    torch.manual_seed(0)
    return Routing(build_model(CONFIG, load_layout("shrec22")), seed=1)


def half(ways: Routing, seed: int, count: int = 40) -> Half:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        features = ways.model.branch_features(torch.randn(count, 8, 22, 3, generator=generator))
        views = features + 0.1 * torch.randn(routing.VIEWS, *features.shape, generator=generator)
    return Half(features, views, torch.randint(4, (count,), generator=generator))


@torch.no_grad()
def test_what_is_charged(ways):
    part, table = half(ways, 0), CostTable(CONFIG, alone=True)
    for action in (0, 1):
        verdict = ways.branch(part, action)
        assert set(verdict.cost) == {table.full[action]}
        forced = ways.model.temporal(part.features[action]).argmax(-1)
        np.testing.assert_array_equal(verdict.correct, (forced == part.labels).numpy())
    quarter = ways.interleaved(part, 4)  # frames 2 and 6 of 8
    assert set(quarter.cost) == {table.full[0] + table.full_spatial[1] / 4}
    everything = ways.escalation(part, part, 1.0, ways.all_dear)
    assert sorted(set(everything.cost))[-1] == table.full.sum()


def test_a_policy_keeps_to_its_share_on_the_clips_it_was_trained_on(ways, monkeypatch):
    monkeypatch.setattr(routing, "EPOCHS", 2)
    part = half(ways, 0)
    for share in (0.1, 0.5):
        policy = ways.policy(part, share)
        taken = (ways.picked(policy, part) > 0).float().mean().item()
        assert taken == pytest.approx(share, abs=1.5 / part.labels.numel() / 8 + 1e-6)


@torch.no_grad()
def test_a_threshold_comes_from_the_other_half(ways):
    calibration, part = half(ways, 0), half(ways, 1)
    verdict = ways.escalation(calibration, part, 0.25, ways.all_dear)
    sure = ways.model.temporal(calibration.features[0]).softmax(-1).amax(-1).quantile(0.25)
    unsure = ways.model.temporal(part.features[0]).softmax(-1).amax(-1) < sure
    assert 0 < unsure.sum() < len(unsure)
    np.testing.assert_array_equal(verdict.cost > verdict.cost.min(), unsure.numpy())
