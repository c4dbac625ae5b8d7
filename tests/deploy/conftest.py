"""Random models in which nothing is at its initial zero or one."""

import pytest

torch = pytest.importorskip("torch")

from adasgn_edge.deploy.export import to_model_file  # noqa: E402
from adasgn_edge.model.adasgn import build_model  # noqa: E402
from adasgn_edge.model.config import ModelConfig, branch_grid  # noqa: E402
from adasgn_edge.model.weights import TrainedModel  # noqa: E402
from adasgn_edge.skeletons import load_layout  # noqa: E402


def random_model(config, layout, seed=0):
    """A model with random weights and batch-norm statistics; its policy uses several branches."""
    torch.manual_seed(seed)
    model = build_model(config, layout).eval()
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            noise = torch.rand(tensor.shape, generator=generator)
            tensor.copy_(noise + 0.5 if "running_var" in name else tensor + 0.2 * (noise - 0.5))
            if name == "policy.weight":
                tensor.mul_(5)
    return model


@pytest.fixture
def random_trained():
    """Factory: (config, layout) → TrainedModel with random weights."""

    def make(config, layout, seed=0):
        names = tuple(f"gesture {label} ✋" for label in range(config.classes))
        provenance = {"dataset": "random", "seed": seed}
        return TrainedModel(random_model(config, layout, seed), layout, "joint", names, provenance)

    return make


@pytest.fixture
def adaptive_trained(random_trained):
    return random_trained(ModelConfig(22, 5, branch_grid((1, 11, 22)), frames=6), load_layout("shrec22"))


@pytest.fixture
def adaptive_file(adaptive_trained):
    return to_model_file(adaptive_trained)
