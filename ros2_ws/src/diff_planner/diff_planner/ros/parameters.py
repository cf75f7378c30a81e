"""The node's parameters in rclpy: declared with descriptors, read back as Settings.

A parameter file with a fault must not end the node before it can say so: what does not fit is
declared with its default, and the fault is returned as a sentence for the status.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter

from diff_planner.ros.parameter_kinds import ParameterSpec, Value
from diff_planner.ros.parameter_specs import (
    CAMERA_NAMES,
    QOS_OVERRIDES,
    Settings,
    camera_names_in,
    checked_value,
    is_misspelt,
    parameter_specs,
    qos_override_spec,
    settings_from,
    unknown_parameter,
    values_of,
)

NODE_OPTIONS: dict[str, Any] = {"automatically_declare_parameters_from_overrides": True}
"""What the node's constructor has to be told.

It is rclpy's public way to see all that a parameter file holds: names that no one declares, and
values of another type, which declare_parameter answers with an exception.
"""
_NOT_OURS = ("use_sim_time", "start_type_description_service", QOS_OVERRIDES)


class GivenParameters:
    """Goes before the node's class: an empty list in a file does not end the constructor.

    rcl reads `[]` as a parameter without a value, and rclpy refuses to declare one of those.
    """

    def declare_parameters(
        self,
        namespace: str,
        parameters: list[tuple[Any, ...]],
        ignore_override: bool = False,
    ) -> list[Parameter]:
        """Declare as rclpy does, with `[""]` where NODE_OPTIONS met a parameter without a value."""
        given = [
            (p[0], [""], *p[2:]) if len(p) > 1 and p[1] is None and not p[2].dynamic_typing else p
            for p in parameters
        ]
        return super().declare_parameters(namespace, given, ignore_override)  # type: ignore[misc]


def declare_parameters(node: Node) -> list[str]:
    """Declare all parameters on a node that was made with NODE_OPTIONS.

    An integer in a file is taken for a double where one is wanted, and so is one that is set
    later.

    Returns:
        A sentence for every value given at the start that does not fit (the default is declared
        instead), for every override of a QoS that is no such policy (qos.py passes it over), and
        for every name that looks like a misspelt parameter; other names get a warning.
    """
    given = list(node.get_parameters_by_prefix(""))
    values = {name: node.get_parameter_or(name).value for name in given}
    specs = {spec.name: spec for spec in parameter_specs(camera_names_in(values))}
    unknown = [n for n in given if n not in specs and not n.startswith(_NOT_OURS)]
    faults = [unknown_parameter(name, specs) for name in unknown if is_misspelt(name, specs)]
    for name in unknown:
        if not is_misspelt(name, specs):
            node.get_logger().warning(f"{unknown_parameter(name, ())}; passed over")
    for name in given:
        policy = qos_override_spec(name) if name.startswith(QOS_OVERRIDES) else None
        if policy is not None:
            faults += checked_value(policy, values[name])[1]
        if not name.startswith(_NOT_OURS):
            node.undeclare_parameter(name)
    for name, spec in specs.items():
        value, fault = checked_value(spec, values.get(name, spec.default))
        faults += fault
        # Not ignoring an override that rclpy was not asked to declare: it would be lost silently.
        node.declare_parameter(
            name, _as_ros(value), descriptor_of(spec), ignore_override=name in given
        )
    node.add_pre_set_parameters_callback(_integers_as_doubles(tuple(specs.values())))
    return faults


def read_settings(node: Node) -> Settings:
    """Return the declared parameters as settings.

    Raises:
        ConfigError: what they say together makes no configuration.
    """
    names = node.get_parameter(CAMERA_NAMES).value
    specs = parameter_specs(camera_names_in({CAMERA_NAMES: names}))
    return settings_from({spec.name: node.get_parameter(spec.name).value for spec in specs})


def changed_settings(settings: Settings, parameters: Sequence[Parameter]) -> Settings:
    """Return new settings with some parameters changed; parameters of others are passed over.

    Raises:
        ConfigError: the settings as a whole would not be valid; nothing has changed.
    """
    values = values_of(settings)
    changes = {p.name: p.value for p in parameters if p.name in values}
    return settings_from({**values, **changes}) if changes else settings


def descriptor_of(spec: ParameterSpec) -> ParameterDescriptor:
    """Return what `ros2 param describe` says of a parameter.

    ROS ranges include their ends: an open one is stated in words, and held when the settings are
    read.
    """
    descriptor = ParameterDescriptor(
        name=spec.name,
        description=spec.description,
        additional_constraints=spec.limits,
        read_only=spec.is_read_only,
    )
    if spec.low is None or spec.high is None:
        return descriptor
    if spec.kind == "int":
        whole = IntegerRange(from_value=int(spec.low), to_value=int(spec.high), step=1)
        descriptor.integer_range = [whole]
    else:
        real = FloatingPointRange(from_value=float(spec.low), to_value=float(spec.high), step=0.0)
        descriptor.floating_point_range = [real]
    return descriptor


def _as_ros(value: Value) -> bool | int | float | str | list[str]:
    # rclpy takes an empty list for one of bytes.
    return (list(value) or [""]) if isinstance(value, tuple) else value


def _integers_as_doubles(
    specs: Sequence[ParameterSpec],
) -> Callable[[list[Parameter]], list[Parameter]]:
    """Return a callback: `ros2 param set NODE NAME 1` sends an integer, whatever NAME is."""
    doubles = {spec.name for spec in specs if spec.kind == "double"}

    def with_doubles(parameters: list[Parameter]) -> list[Parameter]:
        return [
            Parameter(p.name, Parameter.Type.DOUBLE, float(p.value))
            if p.name in doubles and p.type_ == Parameter.Type.INTEGER
            else p
            for p in parameters
        ]

    return with_doubles
