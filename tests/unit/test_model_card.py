import json

import pytest
from pydantic import ValidationError

from diff_planner.errors import ContractError
from diff_planner.inference.card import ModelCard, file_sha256, load_card, save_card


@pytest.fixture
def folder(tmp_path, repository):
    """A model folder with nano's card and two small files."""
    values = json.loads((repository / "models/nano/card.json").read_text(encoding="utf-8"))
    for name in values["files"]:
        (tmp_path / name).write_bytes(name.encode())
        values["files"][name] = file_sha256(tmp_path / name)
    save_card(ModelCard.model_validate(values), tmp_path)
    return tmp_path


def rewrite(folder, **changes):
    path = folder / "card.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**values, **changes}), encoding="utf-8")


def load_files(folder):
    return json.loads((folder / "card.json").read_text(encoding="utf-8"))["files"]


def test_a_whole_folder_loads_and_names_its_graph(folder):
    card = load_card(folder)
    assert card.model_sha256 == file_sha256(folder / "model.onnx")
    assert list(card.graph_inputs)[-1] == "noise"


def test_a_card_survives_writing_and_reading(folder):
    before = load_card(folder)
    text = (folder / "card.json").read_text(encoding="utf-8")
    save_card(before, folder)
    assert (folder / "card.json").read_text(encoding="utf-8") == text
    assert load_card(folder) == before


@pytest.mark.parametrize("version", [2, 0, "1", None])
def test_another_schema_version_is_refused_in_a_sentence(folder, version):
    rewrite(folder, schema_version=version)
    with pytest.raises(
        ContractError, match=r"expected schema_version 1, got .*needs a newer diff_"
    ):
        load_card(folder)


def test_a_damaged_file_is_named_with_both_hashes(folder):
    expected = load_card(folder).files["model.onnx"]
    (folder / "model.onnx").write_bytes(b"model.onnX")
    found = file_sha256(folder / "model.onnx")
    with pytest.raises(
        ContractError, match=rf"model\.onnx: expected sha256 {expected}, found {found}"
    ):
        load_card(folder)


def test_a_missing_file_is_named(folder):
    (folder / "model.safetensors").unlink()
    with pytest.raises(ContractError, match=r"model\.safetensors: cannot be read"):
        load_card(folder)


def test_a_folder_without_a_card_is_not_a_model_folder(tmp_path):
    with pytest.raises(ContractError, match="not a model folder"):
        load_card(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", "\xff"])
def test_a_card_that_is_no_json_object_is_refused(folder, text):
    (folder / "card.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ContractError, match=r"card\.json: (not JSON|expected a JSON object)"):
        load_card(folder)


def test_an_unknown_key_is_refused_with_the_nearest_one(folder):
    rewrite(folder, licences="MIT")
    with pytest.raises(ContractError, match="unknown key 'licences': did you mean 'licence'"):
        load_card(folder)


def test_a_model_made_for_other_features_is_refused(folder):
    rewrite(folder, feature_sha256="0" * 64)
    with pytest.raises(ContractError, match=r"features: expected sha256 0000.*, got "):
        load_card(folder)


def test_a_card_without_a_graph_is_refused(folder):
    rewrite(folder, files={})
    with pytest.raises(ContractError, match=r"expected model\.onnx among them"):
        load_card(folder)


def test_a_card_cannot_point_outside_its_folder(folder):
    card = load_card(folder)
    for name in ("../model.onnx", "/etc/hostname", "card.json", "..", "", "a\0b", ".hidden"):
        with pytest.raises(ValidationError, match="names of files beside the card"):
            ModelCard.model_validate({**card.model_dump(), "files": {name: "0" * 64}})


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"dt_s": 0.25}, r"dt_s: expected 0\.5, got 0\.25"),
        ({"horizon_steps": 16}, "horizon_steps: "),
        (
            {"inputs": {"status": {"shape": [12], "dtype": "float32"}}},
            r"inputs: expected camera uint8 \(3, 96, 384\), .*, got status float32 \(12,\)",
        ),
        (
            {"outputs": {"plans": {"shape": [20, 8, 3], "dtype": "float32"}}},
            r"outputs: expected poses float32 \(M, 8, 3\), scores float32 \(M,\), got plans",
        ),
        (
            {
                "outputs": {
                    "poses": {"shape": [20, 8, 3], "dtype": "float32"},
                    "scores": {"shape": [19], "dtype": "float32"},
                }
            },
            r"outputs: expected .*, got poses float32 \(20, 8, 3\), scores float32 \(19,\)",
        ),
        (
            {"noise": [{"name": "noise", "shape": [-20, 8, 2], "distribution": "normal"}]},
            r"noise\.0\.shape\.0: .*greater than 0",
        ),
    ],
)
def test_a_model_that_the_planner_cannot_call_is_refused_when_it_is_loaded(
    folder, changes, sentence
):
    rewrite(folder, **changes)
    with pytest.raises(ContractError, match=sentence):
        load_card(folder)


def test_a_graph_with_weights_in_another_file_is_refused_since_no_hash_covers_them(folder):
    graph = b"..tensor..j\x15\n\x08location\x12\x0bweights.bin"
    (folder / "model.onnx").write_bytes(graph)
    files = {**load_files(folder), "model.onnx": file_sha256(folder / "model.onnx")}
    rewrite(folder, files=files)
    with pytest.raises(ContractError, match=r"model\.onnx: keeps weights in other files"):
        load_card(folder)
