"""Scenes: what the schema refuses, and that files give back what was put in."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diff_planner.config import VehicleConfig
from diff_planner.errors import SceneError
from diff_planner.scene.io import save_scenes
from diff_planner.scene.load import load_scenes
from diff_planner.scene.schema import Agent, AgentClass, MapPolygon, PolygonType, SceneEgo
from factories import make_scene


def leaves(value, way=""):
    """Every plain value and array of a scene with its place."""
    if dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from leaves(getattr(value, field.name), f"{way}.{field.name}")
    elif isinstance(value, tuple):
        yield way, len(value)
        for index, item in enumerate(value):
            yield from leaves(item, f"{way}[{index}]")
    else:
        yield way, value


def assert_same(first, second):
    for (way, a), (other_way, b) in zip(leaves(first), leaves(second), strict=True):
        assert way == other_way
        if isinstance(a, np.ndarray):
            assert a.dtype == b.dtype, way
            np.testing.assert_array_equal(a, b, err_msg=way)
        else:
            assert a == b, way


@pytest.mark.parametrize("name", ["scenes.json", "scenes.npz"])
def test_a_file_gives_back_exactly_the_scenes_that_were_saved(tmp_path, name):
    full = make_scene(vehicle=VehicleConfig(name="van", length_m=6.1))
    bare = make_scene(
        token="bare",
        agents=(),
        map_polygons=(),
        red_lights=(),
        centerline=None,
        past=None,
        past_times_s=None,
        past_motion=None,
        human=None,
        human_times_s=None,
        reference=None,
    )
    save_scenes(tmp_path / name, [full, bare])
    back = load_scenes(tmp_path / name)
    assert len(back) == 2
    assert_same(back[0], full)
    assert_same(back[1], bare)


@given(st.lists(st.floats(-1e12, 1e12), min_size=9, max_size=9))
def test_every_number_survives_the_files_bit_by_bit(tmp_path_factory, numbers):
    folder = tmp_path_factory.mktemp("numbers")
    scene = make_scene(ego=SceneEgo(*numbers))
    for name in ("a.json", "a.npz"):
        save_scenes(folder / name, [scene])
        assert_same(load_scenes(folder / name)[0], scene)


def test_a_folder_gives_the_scenes_of_all_its_files(tmp_path):
    save_scenes(tmp_path / "b.json", [make_scene(token="b")])
    save_scenes(tmp_path / "a.npz", [make_scene(token="a")])
    assert [scene.token for scene in load_scenes(tmp_path)] == ["a", "b"]


def test_one_token_in_two_files_of_a_folder_is_refused(tmp_path):
    for name in ("a.json", "b.json"):
        save_scenes(tmp_path / name, [make_scene()])
    with pytest.raises(SceneError, match="'straight' came twice"):
        load_scenes(tmp_path)


def test_content_and_not_the_name_decides_what_a_file_is(tmp_path):
    save_scenes(tmp_path / "a.npz", [make_scene()])
    (tmp_path / "a.npz").rename(tmp_path / "scenes.json")
    assert load_scenes(tmp_path / "scenes.json")[0].token == "straight"


def changed(tmp_path, change):
    """Save a scene, change the parsed JSON, write it back."""
    path = tmp_path / "scenes.json"
    save_scenes(path, [make_scene()])
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    return path


@pytest.mark.parametrize("version", [2, 0, None, "1"])
def test_another_version_is_refused_with_both_numbers(tmp_path, version):
    path = changed(tmp_path, lambda d: d.update(version=version))
    with pytest.raises(SceneError, match=r"reads version 1 .* the file has"):
        load_scenes(path)


def test_a_needed_field_that_is_missing_is_named(tmp_path):
    path = changed(tmp_path, lambda d: d["scenes"][0].pop("ego"))
    with pytest.raises(SceneError, match=r"missing fields \['ego'\]"):
        load_scenes(path)
    path = changed(tmp_path, lambda d: d["scenes"][0]["agents"][0].pop("class"))
    with pytest.raises(SceneError, match="agent class: expected one of"):
        load_scenes(path)


def test_json_that_holds_no_scenes_at_all_is_refused(tmp_path):
    (tmp_path / "s.json").write_text("[]")
    with pytest.raises(SceneError, match="scenes, got an empty list"):
        load_scenes(tmp_path / "s.json")


def test_another_schema_is_refused(tmp_path):
    path = changed(tmp_path, lambda d: d.update(schema="other"))
    with pytest.raises(SceneError, match=r"expected schema diff_planner\.scenes, got 'other'"):
        load_scenes(path)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_json_with_a_number_that_is_not_finite_is_refused(tmp_path, number):
    path = tmp_path / "scenes.json"
    save_scenes(path, [make_scene()])
    path.write_text(path.read_text().replace('"vx_mps": 8.0', f'"vx_mps": {number}'))
    with pytest.raises(SceneError, match=f"expected finite numbers, got {number}"):
        load_scenes(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.update(colour="red"), "unknown fields .'colour'"),
        (lambda s: s["ego"].pop("vx_mps"), "vx_mps"),
        (lambda s: s["ego"].update(x_m="1"), "ego.x_m: expected a number, got '1'"),
        (lambda s: s["agents"][0].update(length_m=None), "size: expected a number, got None"),
        (lambda s: s.update(token=3), "scene token: expected a name, got 3"),
        (lambda s: s.update(agents=None), "agents: expected a list"),
        (lambda s: s["agents"][0].update({"class": "tram"}), "expected one of .* got 'tram'"),
        (lambda s: s["agents"][0].update(valid=[1] * 51), "valid: expected booleans"),
        (lambda s: s["agents"][0]["states"].pop(), "valid: expected 50 booleans"),
        (lambda s: s["agents"][0]["states"][3].pop(), "states: expected a table of numbers"),
        (lambda s: s["map_polygons"][0].update(type="river"), "expected one of .* got 'river'"),
        (lambda s: s["map_polygons"][0].update(ring=[[0, 0], [1, 1]]), "3 points or more, got 2"),
        (lambda s: s["vehicle"].update(wheels=3), "vehicle.wheels"),
        (lambda s: s.update(human_times_s=None), "human: poses and times come together"),
        (lambda s: s.update(agents=[s["agents"][0]] * 2), "doubled: .'car'"),
    ],
)
def test_a_wrong_field_is_refused_by_name(tmp_path, change, message):
    path = changed(tmp_path, lambda d: change(d["scenes"][0]))
    with pytest.raises(SceneError, match=message) as found:
        load_scenes(path)
    assert str(path) in str(found.value)


def test_a_scene_names_itself_in_its_errors():
    with pytest.raises(SceneError, match=r"scene 'here': reference: expected shape \(8, 3\)"):
        make_scene(token="here", reference=np.zeros((7, 3)))


def test_numbers_that_are_not_finite_cannot_enter_a_scene():
    with pytest.raises(
        SceneError, match=r"ego\.vx_mps: expected finite numbers up to 1e\+12, got nan"
    ):
        SceneEgo(0.0, 0.0, 0.0, vx_mps=float("nan"))
    states = np.zeros((3, 5))
    states[1, 2] = np.inf
    with pytest.raises(SceneError, match=r"agent 'a': states: .* got inf at \[1, 2\]"):
        Agent("a", AgentClass.VEHICLE, 4.0, 2.0, states, np.ones(3, dtype=np.bool_))


def test_times_must_grow_and_the_past_must_end_at_the_moment():
    with pytest.raises(SceneError, match="human times: expected growing seconds"):
        make_scene(human=np.zeros((2, 3)), human_times_s=np.array([0.2, 0.1]))
    with pytest.raises(SceneError, match=r"expected a last of 0, got -0\.1"):
        make_scene(past=np.zeros((2, 3)), past_times_s=np.array([-0.2, -0.1]), past_motion=None)


def test_polygons_are_found_by_type():
    scene = make_scene()
    assert [p.id for p in scene.polygons(PolygonType.ROADBLOCK)] == ["block"]
    assert isinstance(scene.polygons(PolygonType.LANE)[0], MapPolygon)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not JSON"),
        (b"[]", "expected schema"),
        (b"PK not a zip", "broken npz"),
        (b"\xff\xfe\x00", "neither JSON nor npz"),
    ],
)
def test_a_file_without_scenes_is_refused(tmp_path, content, message):
    path = tmp_path / "scenes.json"
    path.write_bytes(content)
    with pytest.raises(SceneError, match=message):
        load_scenes(path)


def test_missing_file_empty_folder_and_foreign_npz_are_refused(tmp_path):
    with pytest.raises(SceneError, match="cannot be read"):
        load_scenes(tmp_path / "no.json")
    with pytest.raises(SceneError, match="found none"):
        load_scenes(tmp_path)
    np.savez(tmp_path / "other.npz", weights=np.zeros(3))
    with pytest.raises(SceneError, match=r"got \['weights'\]"):
        load_scenes(tmp_path / "other.npz")


def test_nothing_is_left_under_the_name_when_saving_is_refused(tmp_path):
    with pytest.raises(SceneError, match="at least one scene"):
        save_scenes(tmp_path / "a.json", [])
    with pytest.raises(SceneError, match="came twice"):
        save_scenes(tmp_path / "a.json", [make_scene(), make_scene()])
    with pytest.raises(SceneError, match=r"\.json or \.npz"):
        save_scenes(tmp_path / "a.yaml", [make_scene()])
    assert not list(tmp_path.iterdir())
