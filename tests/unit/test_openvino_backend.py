import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from diff_planner.config import FeatureConfig
from diff_planner.errors import BackendError, ConfigError, ContractError, NonFiniteInputError
from diff_planner.inference import load_backend
from diff_planner.inference.backend import zeros
from diff_planner.inference.card import file_sha256, load_card, output_specs, save_card
from diff_planner.model.anchors import anchor_poses
from diff_planner.noise import draw


@pytest.fixture(scope="module")
def nano(repository):
    backend = load_backend(repository / "models/nano", "openvino", threads=2)
    yield backend
    backend.close()


def with_card(repository, tmp_path, **changes):
    """Return a folder of nano's files beside a changed card."""
    nano = repository / "models/nano"
    card = load_card(nano)
    for name in card.files:
        (tmp_path / name).symlink_to(nano / name)
    save_card(card.model_copy(update=changes), tmp_path)
    return tmp_path


def test_the_committed_nano_is_small_and_says_that_it_is_untrained(repository, nano):
    size = sum(file.stat().st_size for file in (repository / "models/nano").iterdir())
    assert size <= 10e6
    assert not nano.card.is_trained
    assert nano.card.training.startswith("untrained")
    assert nano.card.features == FeatureConfig()
    assert (nano.name, nano.precision) == ("openvino", "f32")


@pytest.mark.parametrize("seed", range(3))
def test_untrained_nano_returns_exactly_its_anchors_whatever_it_sees(nano, seed):
    rng = np.random.default_rng(seed)
    inputs, _ = zeros(nano.card)
    inputs = replace(
        inputs,
        camera=rng.integers(0, 256, inputs.camera.shape, dtype=np.uint8),
        lidar=rng.integers(0, 6, inputs.lidar.shape, dtype=np.uint8),
        status=rng.normal(scale=10, size=inputs.status.shape).astype(np.float32),
        camera_mask=np.ones(3, np.float32),
        lidar_mask=np.ones(1, np.float32),
    )
    proposals = nano.run(inputs, draw(nano.card.noise, seed, 0))
    np.testing.assert_array_equal(proposals.poses, anchor_poses().astype(np.float32))
    assert not proposals.scores.any()


def test_the_results_of_a_run_outlive_the_next_one(nano):
    inputs, noise = zeros(nano.card)
    first = nano.run(inputs, noise)
    before = first.poses.copy()
    first.poses[:] = 7.0
    np.testing.assert_array_equal(nano.run(inputs, noise).poses, before)


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        (
            "status",
            np.zeros(8, np.float32),
            r"status: expected float32 \(12,\), got float32 \(8,\)",
        ),
        ("status", np.zeros(12), r"status: expected float32 \(12,\), got float64 \(12,\)"),
        ("lidar", np.zeros((1, 256, 256), np.float32), "lidar: expected uint8 .*, got float32"),
    ],
)
def test_a_tensor_of_another_shape_or_type_is_named(nano, field, value, sentence):
    inputs, noise = zeros(nano.card)
    with pytest.raises(ContractError, match=sentence):
        nano.run(replace(inputs, **{field: value}), noise)


def test_missing_and_unknown_noise_is_refused(nano):
    inputs, noise = zeros(nano.card)
    for wrong in ({}, {**noise, "extra": noise["noise"]}):
        with pytest.raises(ContractError, match=r"expected inputs \[.*'noise'.*\], got \["):
            nano.run(inputs, wrong)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_non_finite_input_is_refused(nano, value):
    inputs, noise = zeros(nano.card)
    status = inputs.status.copy()
    status[9] = value
    with pytest.raises(NonFiniteInputError, match="status: 1 of 12 values are not finite"):
        nano.run(replace(inputs, status=status), noise)


def test_a_card_that_does_not_fit_the_graph_is_refused(repository, tmp_path, nano):
    noise = tuple(spec.model_copy(update={"shape": (10, 8, 2)}) for spec in nano.card.noise)
    folder = with_card(repository, tmp_path, noise=noise)
    with pytest.raises(
        ContractError,
        match=r"inputs: the card says .*noise float32 \(10, .*the graph .*noise float32 \(20,",
    ):
        load_backend(folder, "openvino", threads=1)


def test_a_graph_with_another_number_of_modes_is_refused(repository, tmp_path):
    folder = with_card(repository, tmp_path, outputs=output_specs(19))
    with pytest.raises(
        ContractError, match=r"outputs: the card says poses float32 \(19, .*, the graph poses"
    ):
        load_backend(folder, "openvino", threads=1)


def test_a_graph_that_is_no_graph_is_refused_in_a_sentence(repository, tmp_path):
    folder = with_card(repository, tmp_path)
    (folder / "model.onnx").unlink()
    (folder / "model.onnx").write_bytes(b"not a graph")
    card = load_card(repository / "models/nano")
    sha256 = file_sha256(folder / "model.onnx")
    save_card(card.model_copy(update={"files": {"model.onnx": sha256}}), folder)
    with pytest.raises(BackendError, match=r"model\.onnx: OpenVINO cannot load it \(.+\)"):
        load_backend(folder, "openvino", threads=1)


def test_a_closed_backend_says_so(repository):
    backend = load_backend(repository / "models/nano", "openvino", threads=1)
    inputs, noise = zeros(backend.card)
    backend.close()
    with pytest.raises(BackendError, match="model nano: the openvino backend is closed"):
        backend.run(inputs, noise)


def test_without_openvino_the_sentence_names_the_package(repository, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(BackendError, match="the package openvino cannot be imported"):
        load_backend(repository / "models/nano", "openvino", threads=1)


def test_an_unknown_backend_is_refused(repository):
    with pytest.raises(ConfigError, match="expected openvino or torch, got 'tensorrt'"):
        load_backend(repository / "models/nano", "tensorrt", threads=1)


def test_openvino_sends_and_stores_nothing(repository, tmp_path):
    code = """
import sys
from pathlib import Path
from diff_planner.inference import load_backend
load_backend(Path("models/nano"), "openvino", 1)
assert sys.modules["openvino_telemetry"] is None
"""
    environment = {**os.environ, "HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], check=True, cwd=repository, env=environment)
    assert not list(tmp_path.iterdir())
