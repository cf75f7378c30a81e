import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from diff_planner.config import FeatureConfig  # noqa: E402
from diff_planner.errors import ContractError  # noqa: E402
from diff_planner.inference.export import model_card, random_inputs, with_random_heads  # noqa: E402
from diff_planner.model.anchors import anchor_poses  # noqa: E402
from diff_planner.model.bev_diffusion_planner import build_planner  # noqa: E402
from diff_planner.model.decoder import BevAttention  # noqa: E402
from diff_planner.model.network_config import SIZES, NetworkConfig, network_config  # noqa: E402
from diff_planner.model.normaliser import PointNormaliser  # noqa: E402
from diff_planner.model.schedule import TruncatedSchedule  # noqa: E402

torch.set_num_threads(1)  # small work: two threads would wait for each other


@pytest.fixture(scope="module")
def untrained():
    return build_planner(SIZES["nano"], FeatureConfig(), seed=0)


@pytest.fixture(scope="module")
def lively(untrained):
    """Nano with random heads: what it sees shows in what it says."""
    return with_random_heads(untrained, seed=1)


def tensors(model, seeds, **changes):
    """Return a batch of random inputs, one row a seed; all sensors are there unless changed."""
    card = model_card(model, name="x", size="nano", training="x", is_trained=False)
    present = {
        name: np.ones(card.inputs[name].shape, np.float32)
        for name in ("camera_mask", "lidar_mask", "route_mask")
    }
    rows = []
    for seed in seeds:
        inputs, noise = random_inputs(card, seed)
        rows.append({**dataclasses.replace(inputs, **{**present, **changes}).as_dict(), **noise})
    return {name: torch.from_numpy(np.stack([row[name] for row in rows])) for name in rows[0]}


def plan(model, batch):
    with torch.inference_mode():
        return model(**batch)


def test_an_untrained_network_returns_exactly_its_anchors_with_equal_scores(untrained):
    prediction = plan(untrained, tensors(untrained, [0, 1, 2]))
    anchors = torch.from_numpy(anchor_poses()).float().expand(3, -1, -1, -1)
    assert torch.equal(prediction.poses, anchors)
    assert not prediction.logits.any()


def test_equal_seeds_give_equal_weights_and_leave_the_global_state_alone(untrained):
    state = torch.random.get_rng_state()
    again = build_planner(SIZES["nano"], FeatureConfig(), seed=0)
    other = build_planner(SIZES["nano"], FeatureConfig(), seed=1)
    assert torch.equal(torch.random.get_rng_state(), state)
    for name, weights in untrained.state_dict().items():
        assert torch.equal(weights, again.state_dict()[name])
    assert not torch.equal(other.point_query.weight, untrained.point_query.weight)


def test_a_row_of_a_batch_is_planned_as_if_it_were_alone(lively):
    together = plan(lively, tensors(lively, [3, 4]))
    alone = plan(lively, tensors(lively, [4]))
    torch.testing.assert_close(together.poses[1:], alone.poses, atol=1e-4, rtol=0)
    assert (together.poses[0] - together.poses[1]).abs().max() > 0.1


@pytest.mark.parametrize("name", ["camera", "lidar", "status", "route", "noise"])
def test_every_input_matters(lively, name):
    batch, other = tensors(lively, [0]), tensors(lively, [5])
    changed = plan(lively, {**batch, name: other[name]})
    assert (changed.poses - plan(lively, batch).poses).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("mask", "name"), [("camera_mask", "camera"), ("lidar_mask", "lidar"), ("route_mask", "route")]
)
def test_what_a_masked_input_holds_does_not_matter_but_the_mask_does(lively, mask, name):
    batch, other = tensors(lively, [0]), tensors(lively, [5])
    masked = {**batch, mask: torch.zeros_like(batch[mask])}
    expected = plan(lively, masked)
    assert torch.equal(plan(lively, {**masked, name: other[name]}).poses, expected.poses)
    assert (plan(lively, batch).poses - expected.poses).abs().max() > 1e-3


def test_training_reaches_every_parameter_through_all_layers(untrained):
    model = with_random_heads(untrained, seed=1).train()
    batch = tensors(model, [0, 1], camera_mask=np.float32([1, 0, 1]))
    batch["route_mask"] = torch.eye(2).repeat(1, 10)
    noise = batch.pop("noise")
    timestep = torch.tensor([0, 40])
    points = model.noisy_anchors(noise, timestep)
    predictions = model.denoise(model.encode(**batch), points, timestep)
    assert [p.poses.shape for p in predictions] == [(2, 20, 8, 3)] * 2
    assert [p.logits.shape for p in predictions] == [(2, 20)] * 2
    sum(p.poses.square().sum() + p.logits.square().sum() for p in predictions).backward()
    silent = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    # Adding to all keys alike leaves softmax as it is: their biases cannot matter.
    assert [name for name in silent if not name.endswith("attention.key.bias")] == []


def test_noise_of_one_row_is_as_large_as_its_timestep_says(untrained):
    noise = torch.ones(2, 20, 8, 2)
    points = untrained.noisy_anchors(noise, torch.tensor([0, 8]))
    standing_still = points[:, 0]  # anchor 0 is the origin: what is left is noise
    np.testing.assert_allclose(standing_still[0], 0.0100, atol=1e-4)
    np.testing.assert_allclose(standing_still[1], 0.0316, atol=1e-4)


def test_the_schedule_has_the_published_values():
    schedule = TruncatedSchedule(1000, 1e-4, 0.02)
    alpha_bar = schedule.alpha_bar[[0, 1, 8, 10, 49]]
    np.testing.assert_allclose(alpha_bar, [0.99990, 0.99980, 0.99900, 0.99875, 0.99112], atol=6e-6)


def test_a_jump_with_the_true_answer_lands_where_noising_would():
    schedule = TruncatedSchedule(1000, 1e-4, 0.02)
    generator = torch.Generator().manual_seed(0)
    clean = torch.rand(2, 3, 8, 2, generator=generator) - 0.5
    noise = torch.randn(2, 3, 8, 2, generator=generator)
    start, end = torch.tensor([8, 49]), torch.tensor([0, 8])
    landed = schedule.jump(schedule.add_noise(clean, noise, start), clean, start, end)
    torch.testing.assert_close(landed, schedule.add_noise(clean, noise, end), atol=1e-5, rtol=0)


def test_the_normaliser_keeps_the_origin_and_returns_what_it_got():
    normaliser = PointNormaliser(80.0, 32.0)
    points = torch.tensor([[0.0, 0.0], [80.0, -32.0], [3.0, 5.0]])
    units = normaliser.normalise(points)
    assert units[:2].tolist() == [[0.0, 0.0], [1.0, -1.0]]
    torch.testing.assert_close(normaliser.denormalise(units), points)


@pytest.fixture
def plain_attention():
    """BEV attention of one channel that passes on what it reads."""
    config = NetworkConfig(bev_channels=1, width=1, heads=1)
    attention = BevAttention(config, range_m=32.0, cell_m=1.0)
    torch.nn.init.ones_(attention.out.weight)
    torch.nn.init.zeros_(attention.out.bias)
    return attention


def read(attention, bev, x_m, y_m):
    points = torch.tensor([x_m, y_m]).expand(1, 1, 8, 2)
    with torch.inference_mode():
        return float(attention(torch.zeros(1, 1, 1), points, bev))


def test_bev_rows_grow_with_x_and_columns_with_y(plain_attention):
    bev = torch.zeros(1, 1, 64, 64)
    bev[0, 0, 52, 22] = 1.0  # the cell from (20, -10) to (21, -9)
    assert read(plain_attention, bev, 20.5, -9.5) == pytest.approx(1.0, abs=1e-4)
    assert read(plain_attention, bev, 21.0, -9.5) == pytest.approx(0.5, abs=1e-4)
    assert read(plain_attention, bev, -9.5, 20.5) == pytest.approx(0.0, abs=1e-4)


@pytest.mark.parametrize("x_m", [0.0, 31.5, 31.9, 32.0, 32.3, 40.0, -90.0])
def test_beyond_the_map_the_learned_vector_takes_over_without_a_step(plain_attention, x_m):
    torch.nn.init.constant_(plain_attention.beyond, 3.0)
    map_of_threes = torch.full((1, 1, 64, 64), 3.0)
    assert read(plain_attention, map_of_threes, x_m, 5.2) == pytest.approx(3.0, abs=1e-4)
    expected = {31.5: 0.0, 32.0: 1.5, 40.0: 3.0}.get(x_m)
    if expected is not None:
        empty = torch.zeros(1, 1, 64, 64)
        assert read(plain_attention, empty, x_m, 5.2) == pytest.approx(expected, abs=1e-4)


def test_a_picture_that_does_not_halve_five_times_is_refused():
    features = FeatureConfig(camera_height_px=100)
    with pytest.raises(ContractError, match=r"expected multiples of 32, got \(100, 384, 256\)"):
        build_planner(SIZES["nano"], features, seed=0)


def test_a_network_that_this_package_lacks_is_refused():
    with pytest.raises(ContractError, match="expected one of bev_diffusion/nano, got x/nano"):
        network_config("x", "nano")
