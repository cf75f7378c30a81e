"""Package for colcon (ament_python) and for pip; the same files serve both.

`pip install -e` uses the files where they lie.  An installation copies configuration, launch files,
models and message definitions to share/diff_planner, where ROS 2 and the package look for them.
"""

import os
from pathlib import Path

from setuptools import find_packages, setup

NAME = "diff_planner"
HERE = Path(__file__).resolve().parent
# Beside the package in the repository; absent where the package alone was copied to a workspace.
REPOSITORY = HERE.parents[2]

# Ranges for people who install without the lock files of requirements/; a test keeps both in step.
CORE = [
    "numpy>=1.26,<3",
    "opencv-python-headless>=4.10,<5",
    "pydantic>=2,<3",
    "pyyaml>=6",
    "rosbags==0.11.9",
    "openvino==2026.4.*",
    "jinja2>=3.1",
    "tqdm>=4.66",
]
EXTRAS = {
    "ros": ["ros-rclpy[fastrtps]==7.1.6", "ros-jazzy-common-interfaces==5.3.6"],
    # The simulator needs nothing beyond core yet.
    "sim": [],
    "train": ["torch==2.13.0", "safetensors>=0.5"],
    "dev": [
        "pytest>=8",
        "hypothesis>=6",
        "onnx>=1.17",
        "onnxruntime>=1.20",
        "ruff>=0.9",
        "mypy>=1.15",
    ],
}


def share(folder: str, root: Path, pattern: str) -> list[tuple[str, list[str]]]:
    """List what `pattern` finds under `root` as data files for share/diff_planner/`folder`."""
    by_target: dict[str, list[str]] = {}
    for path in sorted(root.glob(pattern)):
        if path.is_file():
            below = path.relative_to(root).parent
            target = Path("share") / NAME / folder / below
            by_target.setdefault(target.as_posix(), []).append(os.path.relpath(path, HERE))
    return list(by_target.items())


setup(
    name=NAME,
    version="0.1.0",
    description="A truncated-diffusion planner for vehicles that run ROS 2.",
    license="Apache-2.0",
    maintainer="diff_planner maintainers",
    maintainer_email="maintainers@diff-planner.invalid",
    python_requires=">=3.10",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    # Read by the code beside them, unlike the files of share/.
    package_data={NAME: ["report/templates/*"]},
    zip_safe=False,
    install_requires=CORE,
    extras_require=EXTRAS,
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
        *share("config", HERE / "config", "*"),
        *share("rviz", HERE / "rviz", "*"),
        *share("foxglove", HERE / "foxglove", "*"),
        *share("launch", REPOSITORY / "launch", "*.py"),
        *share("models", REPOSITORY / "models", "*/*"),
        # For installations without diff_planner_msgs, which only colcon builds.
        *share("msg", HERE.parent / "diff_planner_msgs" / "msg", "*.msg"),
    ],
    # setup.cfg puts them into lib/diff_planner, where `ros2 run` and launch files look.
    entry_points={
        "console_scripts": [
            "diff-planner = diff_planner.cli:main",
            "planner_node = diff_planner.ros.planner_node:main",
        ]
    },
)
