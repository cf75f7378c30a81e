import dataclasses
import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from safetensors.numpy import load_file, save_file  # noqa: E402

from diff_planner.config import FeatureConfig  # noqa: E402
from diff_planner.errors import BackendError, ContractError, OutputError  # noqa: E402
from diff_planner.inference import export, load_backend  # noqa: E402
from diff_planner.inference.backend import zeros  # noqa: E402
from diff_planner.inference.card import file_sha256, load_card, save_card  # noqa: E402
from diff_planner.model.bev_diffusion_planner import build_planner  # noqa: E402
from diff_planner.model.network_config import SIZES  # noqa: E402

torch.set_num_threads(1)  # small work: two threads would wait for each other


@pytest.fixture(scope="module")
def lively(tmp_path_factory):
    """The folder of an exported nano with random heads."""
    model = build_planner(SIZES["nano"], FeatureConfig(), seed=0)
    model = export.with_random_heads(model, seed=2)
    card = export.model_card(
        model, name="lively", size="nano", training="random heads", is_trained=False
    )
    folder = tmp_path_factory.mktemp("models") / "lively"
    export.export_model(model, folder, card)
    return folder


def test_openvino_equals_torch_within_a_tenth_of_a_millimetre(lively):
    reference, other = (load_backend(lively, name, threads=1) for name in ("torch", "openvino"))
    assert export.largest_difference(reference, other, 10) < 1e-4
    inputs, noise = export.random_inputs(reference.card, 0)
    anchors = build_planner(SIZES["nano"], FeatureConfig(), 0).anchors.numpy()
    # The comparison means something: the network moves its anchors by metres.
    assert np.abs(reference.run(inputs, noise).poses - anchors).mean() > 1.0


def test_a_difference_that_is_not_a_number_counts_as_infinite(lively):
    class Broken:
        def __init__(self, backend):
            self.backend = backend

        def run(self, inputs, noise):
            proposals = self.backend.run(inputs, noise)
            return dataclasses.replace(proposals, scores=proposals.scores * np.nan)

    backend = load_backend(lively, "openvino", threads=1)
    assert export.largest_difference(backend, backend, 1) == 0.0
    assert export.largest_difference(backend, Broken(backend), 1) > 1e30


RUN = """
import hashlib, sys
from pathlib import Path
from diff_planner.inference import load_backend
from diff_planner.inference.backend import zeros
from diff_planner.noise import draw
for threads in (1, 2, 1, 2):
    backend = load_backend(Path(sys.argv[1]), "openvino", threads)
    inputs, _ = zeros(backend.card)
    for _ in range(2):
        proposals = backend.run(inputs, draw(backend.card.noise, 5, 6))
        content = proposals.poses.tobytes() + proposals.scores.tobytes()
        print(threads, hashlib.sha256(content).hexdigest())
"""


def test_the_same_input_gives_the_same_bytes_also_in_another_process(lively, repository):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", RUN, str(lively)]
    done = subprocess.run(
        command, check=True, cwd=repository, env=environment, capture_output=True, text=True
    )
    there = done.stdout.splitlines()
    for threads in (1, 2):
        backend = load_backend(lively, "openvino", threads)
        inputs, _ = zeros(backend.card)
        other, _ = export.random_inputs(backend.card, 1)
        noise = export.draw(backend.card.noise, 5, 6)
        backend.run(other, noise)  # what ran before leaves no trace
        proposals = backend.run(inputs, noise)
        content = proposals.poses.tobytes() + proposals.scores.tobytes()
        here = f"{threads} {hashlib.sha256(content).hexdigest()}"
        assert [line for line in there if line[0] == here[0]] == [here] * 4


def test_an_export_that_differs_from_torch_leaves_nothing(tmp_path, monkeypatch):
    write_onnx = export._write_onnx

    def write_another(model, path, card):
        write_onnx(export.with_random_heads(model, seed=99), path, card)

    monkeypatch.setattr(export, "_write_onnx", write_another)
    with pytest.raises(
        ContractError, match=r"within 0\.001 .* of torch, got .*nothing was written"
    ):
        export.export_nano(tmp_path / "nano", seed=0)
    assert not list(tmp_path.iterdir())


def test_exporting_over_an_older_model_replaces_it_whole(tmp_path, monkeypatch):
    # The comparison takes most of an export's time and is tested above.
    monkeypatch.setattr(export, "_require_agreement", lambda folder: None)
    folder = tmp_path / "nano"
    folder.mkdir()
    (folder / "card.json").write_text("{}")
    (folder / "leftover").write_text("old")
    card = export.export_nano(folder, seed=3)
    assert sorted(path.name for path in folder.iterdir()) == ["card.json", *sorted(card.files)]
    assert load_card(folder) == card
    assert [path.name for path in tmp_path.iterdir()] == ["nano"]
    assert "seed 3" in card.training


def test_a_folder_that_is_no_model_is_not_overwritten(tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(OutputError, match="exists and is not a model folder"):
        export.export_nano(tmp_path, seed=0)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_weights_that_do_not_fit_are_named_one_by_one(tmp_path, lively):
    weights = load_file(lively / "model.safetensors")
    weights["stranger"] = weights.pop("route_absent")
    weights["route_token.weight"] = np.zeros((96, 3), np.float32)
    save_file(weights, tmp_path / "model.safetensors")
    (tmp_path / "model.onnx").symlink_to(lively / "model.onnx")
    files = {name: file_sha256(tmp_path / name) for name in ("model.onnx", "model.safetensors")}
    save_card(load_card(lively).model_copy(update={"files": files}), tmp_path)
    with pytest.raises(ContractError) as caught:
        load_backend(tmp_path, "torch", threads=1)
    for sentence in (
        "route_absent is missing",
        "stranger is unknown",
        "route_token.weight: expected torch.float32 (96, 2), got torch.float32 (96, 3)",
    ):
        assert sentence in str(caught.value)


def test_a_closed_torch_backend_says_so(lively):
    backend = load_backend(lively, "torch", threads=1)
    inputs, noise = zeros(backend.card)
    backend.close()
    with pytest.raises(BackendError, match="the torch backend is closed"):
        backend.run(inputs, noise)


def test_without_torch_the_sentence_says_what_to_install(lively, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(BackendError, match="install the train requirements"):
        load_backend(lively, "torch", threads=1)


@pytest.mark.slow
def test_the_committed_nano_is_what_the_export_writes(repository, tmp_path):
    fresh = export.write_nano(tmp_path)
    committed = load_card(repository / "models/nano")
    name = "model.safetensors"
    assert (tmp_path / "nano" / name).read_bytes() == (
        repository / "models/nano" / name
    ).read_bytes()
    # Another torch may write the same graph in other bytes: compared by what it computes.
    unhashed = {"files": {}}
    assert fresh.model_copy(update=unhashed) == committed.model_copy(update=unhashed)
    reference = load_backend(tmp_path / "nano", "torch", threads=2)
    exported = load_backend(repository / "models/nano", "openvino", threads=2)
    assert export.largest_difference(reference, exported, 4) == 0.0
