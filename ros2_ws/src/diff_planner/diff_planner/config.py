"""The configuration: typed models that hold the only defaults; YAML carries differences.

An unknown key is an error that names the nearest valid one.  Durations end in `_s`, lengths in
`_m`; descriptions become help texts and ROS parameter descriptors.
"""

from __future__ import annotations

import difflib
import hashlib
from pathlib import Path
from typing import Literal, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from diff_planner.errors import ConfigError

ModelT = TypeVar("ModelT", bound="ConfigModel")


class ConfigModel(BaseModel):
    """Frozen, and closed to keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class VehicleConfig(ConfigModel):
    """The vehicle; the default is NAVSIM's Pacifica (nuPlan's vehicle parameters)."""

    name: str = Field("pacifica", description="A name for pages and results.")
    length_m: float = Field(5.176, gt=0, le=30, description="Overall length.")
    width_m: float = Field(2.297, gt=0, le=4, description="Overall width, mirrors included.")
    height_m: float = Field(1.777, gt=0, le=5, description="Overall height.")
    wheelbase_m: float = Field(3.089, gt=0, le=20, description="Rear to front axle.")
    rear_axle_to_center_m: float = Field(
        1.461, ge=0, le=15, description="Rear axle to the centre of the box, along x."
    )
    max_steer_rad: float = Field(0.61, gt=0, lt=1.5, description="Largest road wheel angle.")
    max_steer_rate_radps: float = Field(0.6, gt=0, le=10, description="Road wheel angle rate.")
    max_acceleration_mps2: float = Field(4.0, gt=0, le=15, description="Full throttle.")
    max_deceleration_mps2: float = Field(8.0, gt=0, le=15, description="Emergency braking.")
    comfortable_deceleration_mps2: float = Field(2.0, gt=0, le=15, description="Planned stop.")

    @property
    def front_m(self) -> float:
        """Rear axle to front bumper."""
        return self.rear_axle_to_center_m + 0.5 * self.length_m

    @property
    def rear_m(self) -> float:
        """Rear axle to rear bumper, positive."""
        return 0.5 * self.length_m - self.rear_axle_to_center_m


class CameraInputConfig(ConfigModel):
    """One camera: where its pictures and its calibration come from."""

    image: str = Field(min_length=1, description="Topic of sensor_msgs Image or CompressedImage.")
    info: str = Field(min_length=1, description="Topic of sensor_msgs CameraInfo.")
    tolerance_s: float = Field(0.06, gt=0, le=1, description="Largest stamp distance to anchor.")


class StreamConfig(ConfigModel):
    """One other input stream."""

    topic: str = Field(min_length=1, description="Topic name.")
    tolerance_s: float = Field(0.06, gt=0, le=1, description="Largest stamp distance to anchor.")


class NavigationConfig(StreamConfig):
    """What the navigation says: the newest message counts until the next."""

    tolerance_s: float = Field(1.0, gt=0, le=1, description="Age that its health is shown against.")


def _default_cameras() -> dict[str, CameraInputConfig]:
    return {
        name: CameraInputConfig(
            image=f"/sensing/camera/{name}/image_rect/compressed",
            info=f"/sensing/camera/{name}/camera_info",
        )
        for name in ("left", "front", "right")
    }


class InputsConfig(ConfigModel):
    """What comes in.  Cameras named left, front and right form the published triple."""

    anchor: str = Field("lidar", description="'lidar' or a camera name: triggers each cycle.")
    period_s: float = Field(0.1, gt=0.01, le=2, description="Expected period of the anchor.")
    sync_wait_s: float = Field(
        0.05, ge=0, le=0.5, description="Longest wait after the anchor for later stamps."
    )
    max_anchor_age_s: float = Field(
        0.25,
        gt=0,
        le=5,
        description="How far the newest odometry's stamp may be ahead of the anchor's.",
    )
    cameras: dict[str, CameraInputConfig] = Field(
        default_factory=_default_cameras, description="At most 6 of them."
    )
    lidar: StreamConfig | None = Field(
        StreamConfig(topic="/sensing/lidar/top/pointcloud"), description="sensor_msgs PointCloud2."
    )
    odometry: StreamConfig = Field(
        StreamConfig(topic="/localization/kinematic_state"), description="nav_msgs Odometry."
    )
    acceleration: StreamConfig | None = Field(
        StreamConfig(topic="/localization/acceleration"),
        description="geometry_msgs AccelWithCovarianceStamped; without it, from the odometry.",
    )
    nav_command: NavigationConfig | None = Field(
        NavigationConfig(topic="/navigation/command"),
        description="diff_planner_msgs NavCommand.",
    )
    route: NavigationConfig | None = Field(
        NavigationConfig(topic="/navigation/route"),
        description="diff_planner_msgs Route.",
    )
    tf_static: str = Field(
        "/tf_static", min_length=1, description="Topic of tf2_msgs TFMessage: where sensors sit."
    )
    base_frame: str = Field(
        "base_link", min_length=1, description="Frame of the rear axle's centre on the ground."
    )

    @model_validator(mode="after")
    def _check(self) -> InputsConfig:
        if len(self.cameras) > 6:
            raise ValueError(f"cameras: expected at most 6, got {len(self.cameras)}")
        if "lidar" in self.cameras:
            raise ValueError("cameras: the name 'lidar' is taken by the LiDAR")
        known = [*self.cameras, *(["lidar"] if self.lidar else [])]
        if self.anchor not in known:
            raise ValueError(f"anchor: expected one of {known}, got {self.anchor!r}")
        return self


class FeatureConfig(ConfigModel):
    """The shape of the model's inputs; part of its card, so it is not set by hand.

    The defaults are nano's.
    """

    camera_height_px: int = Field(96, ge=32, le=1024)
    camera_width_px: int = Field(384, ge=64, le=4096)
    lidar_cells: int = Field(256, ge=32, le=1024)
    lidar_px_per_m: float = Field(4.0, gt=0)
    lidar_max_count: int = Field(5, ge=1, le=255)
    lidar_split_z_m: float = Field(0.2, description="Points above this height are counted.")
    lidar_max_z_m: float = Field(100.0, gt=0)
    commands: Literal["navsim4", "nav8"] = Field(
        "nav8", description="navsim4: left, straight, right, unknown; nav8: NavCommand's eight."
    )
    panorama_azimuth_deg: float = Field(
        70.0, gt=0, le=180, description="Half width of the panorama of rigs without a triple."
    )
    panorama_elevation_deg: float = Field(
        17.5, gt=0, lt=80, description="Half height of that panorama; rows are tan(elevation)."
    )

    @property
    def status_size(self) -> int:
        """S: length of the status vector."""
        return (4 if self.commands == "navsim4" else 8) + 4

    @property
    def sha256(self) -> str:
        """Hash of the values, to hold a model to the features it was trained on."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


class ModelConfig(ConfigModel):
    """Which model runs, and where."""

    path: str = Field("nano", description="A folder of models/, or a path to a model folder.")
    backend: Literal["openvino", "torch"] = Field("openvino", description="What computes it.")
    threads: int = Field(1, ge=1, le=64, description="Inference threads; nano needs 7 ms on one.")
    seed: int = Field(0, ge=0, lt=2**63, description="Noise comes from (seed, stamp).")


class RefineConfig(ConfigModel):
    """From 8 poses at 0.5 s to a smooth plan at 0.1 s."""

    jerk_weight: float = Field(
        0.02, ge=0, le=10, description="Weight of squared jerk against squared metres."
    )
    standstill_mps: float = Field(
        0.3, ge=0, le=2, description="Below this the heading is held: direction is noise."
    )
    reach_acceleration_mps2: float = Field(
        2.5, gt=0, le=15, description="Poses farther than this allows are moved nearer."
    )
    reach_deceleration_mps2: float = Field(
        5.0, gt=0, le=15, description="Poses nearer than this allows are moved farther."
    )


class SafetyConfig(ConfigModel):
    """Limits of the safety rules; a net below comfort, not a style."""

    standstill_mps: float = Field(
        0.5, gt=0, le=2, description="Below this curvature and steering rate are not judged."
    )
    max_curvature_margin: float = Field(
        1.05, ge=1, le=2, description="Allowed curvature as a multiple of the vehicle's own."
    )
    max_lateral_acceleration_mps2: float = Field(
        4.9, gt=0, le=15, description="Speed squared times curvature."
    )
    max_longitudinal_jerk_mps3: float = Field(
        15.0, gt=0, le=100, description="Change of acceleration along the plan."
    )
    max_start_deviation_m: float = Field(
        0.5, gt=0, le=5, description="Distance of point 0 to the ego."
    )
    max_start_speed_step_mps: float = Field(
        1.0, gt=0, le=10, description="Speed at point 0 against the ego's."
    )
    continuity_horizon_s: float = Field(
        1.0, gt=0, le=4, description="How long the last plan binds the next."
    )
    max_lateral_shift_m: float = Field(
        0.8, gt=0, le=5, description="Sideways from the last plan, over that horizon."
    )
    max_longitudinal_shift_m: float = Field(
        2.0, gt=0, le=10, description="Along the last plan, over that horizon."
    )
    max_heading_shift_rad: float = Field(
        0.35, gt=0, le=3, description="Turned from the last plan, over that horizon."
    )
    collision_margin_m: float = Field(0.15, ge=0, le=2, description="Added around the vehicle.")
    collision_horizon_s: float = Field(
        4.0, gt=0, le=8, description="How far along the plan LiDAR points count as blocking."
    )
    collision_min_points: int = Field(4, ge=1, le=100, description="Points that make an obstacle.")
    obstacle_min_height_m: float = Field(
        0.3, gt=0, le=2, description="An obstacle's, above local ground."
    )
    obstacle_max_height_m: float = Field(2.3, gt=0, le=6, description="Above that it is overhead.")

    @model_validator(mode="after")
    def _check(self) -> SafetyConfig:
        low, high = self.obstacle_min_height_m, self.obstacle_max_height_m
        if low >= high:  # no point would be an obstacle
            raise ValueError(f"obstacle_min_height_m: expected less than {high} m, got {low}")
        return self


class SelectionConfig(ConfigModel):
    """How many of the ordered candidates are tried before the fallback."""

    max_tries: int = Field(
        5, ge=1, le=100, description="Candidates that are judged before the fallback is driven."
    )


class FallbackConfig(ConfigModel):
    """What is driven when no candidate can be."""

    hold_last_s: float = Field(0.5, ge=0, le=2, description="Longest age of a plan that is held.")
    comfortable_stop_s: float = Field(
        2.0, ge=0, le=10, description="Fault time after which braking becomes an emergency."
    )
    horizon_s: float = Field(4.0, ge=1, le=10, description="Length of a stop's trajectory.")


class PlannerConfig(ConfigModel):
    """Everything the planner is told."""

    vehicle: VehicleConfig = VehicleConfig()
    inputs: InputsConfig = InputsConfig()
    output_frame: str | None = Field(
        None, description="Of the plans. None or empty: the odometry message's frame."
    )
    model: ModelConfig = ModelConfig()
    selection: SelectionConfig = SelectionConfig()
    refine: RefineConfig = RefineConfig()
    safety: SafetyConfig = SafetyConfig()
    fallback: FallbackConfig = FallbackConfig()

    @property
    def watchdog_s(self) -> float:
        """Longest time without a cycle: twice the anchor's period."""
        return 2.0 * self.inputs.period_s


def _model_at(model: type[BaseModel], location: tuple[int | str, ...]) -> type[BaseModel]:
    """Return the model class that a path of keys leads to."""
    annotation: object = model
    for part in location:
        if get_origin(annotation) is dict:  # any key leads to the dict's values
            annotation = get_args(annotation)[1]
            continue
        annotation = _as_model(annotation).model_fields[str(part)].annotation
    return _as_model(annotation)


def _as_model(annotation: object) -> type[BaseModel]:
    """Return the model class of an annotation `X` or `X | None`."""
    models = [a for a in (annotation, *get_args(annotation)) if isinstance(a, type)]
    return next(a for a in models if issubclass(a, BaseModel))


def _nearest_key(model: type[BaseModel], location: tuple[int | str, ...]) -> str:
    names = sorted(_model_at(model, location[:-1]).model_fields)
    near = difflib.get_close_matches(str(location[-1]), names, n=1, cutoff=0.4)
    return f"did you mean '{near[0]}'?" if near else f"valid keys: {', '.join(names)}"


def _sentence(model: type[BaseModel], error: ErrorDetails) -> str:
    where = ".".join(str(part) for part in error["loc"]) or "top level"
    if error["type"] == "extra_forbidden":
        return f"unknown key '{where}': {_nearest_key(model, error['loc'])}"
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "value_error":
        return f"{where}: {message}"
    return f"{where}: {message}, got {error['input']!r}"


def parse(model: type[ModelT], values: object, origin: str) -> ModelT:
    """Build a config model from plain values.

    Args:
        model: the class to build.
        values: nested dicts as YAML gives them; None counts as empty.
        origin: where they came from, for the error.

    Raises:
        ConfigError: with one line for each key that is unknown or out of range.
    """
    try:
        return model.model_validate({} if values is None else values)
    except ValidationError as error:
        lines = [_sentence(model, detail) for detail in error.errors()]
        raise ConfigError(f"{origin}: " + "; ".join(lines)) from None


def read_yaml(path: Path) -> object:
    """Read a YAML file.

    Raises:
        ConfigError: no such file, or not YAML.
    """
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not YAML ({' '.join(str(error).split())})") from None


def load_config(path: Path) -> PlannerConfig:
    """Read a planner configuration; `vehicle` may be the name of a YAML file beside it.

    Raises:
        ConfigError: with every fault found.
    """
    values = read_yaml(path)
    if isinstance(values, dict) and isinstance(values.get("vehicle"), str):
        vehicle_path = path.parent / values["vehicle"]
        vehicle = parse(VehicleConfig, read_yaml(vehicle_path), str(vehicle_path))
        values = {**values, "vehicle": vehicle.model_dump()}
    return parse(PlannerConfig, values, str(path))


def to_yaml(config: ConfigModel, *, only_differences: bool = True) -> str:
    """Write a configuration; by default only what differs from the defaults."""
    values = config.model_dump(mode="json", exclude_defaults=only_differences)
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
