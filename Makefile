# make demo and make test set up what they need in .venv and ros2_ws/install, once; see make help.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.NOTPARALLEL:

# Which Python makes the environments; empty: the first of 3.12, 3.11 that runs.
PYTHON ?=
VENV := .venv
VENV_CORE := .venv-core
STAMPS := $(VENV)/.stamps
STAMPS_CORE := $(VENV_CORE)/.stamps
PACKAGE := ros2_ws/src/diff_planner
MSGS := ros2_ws/src/diff_planner_msgs
MSG_FILES := $(wildcard $(MSGS)/msg/*.msg $(MSGS)/srv/*.srv) $(MSGS)/CMakeLists.txt $(MSGS)/package.xml
TF2_FILES := $(wildcard tools/tf2_msgs/* tools/tf2_msgs/msg/*)
PACKAGE_FILES := $(PACKAGE)/setup.py $(PACKAGE)/setup.cfg $(PACKAGE)/package.xml
SETUP := $(STAMPS)/package $(STAMPS)/messages $(STAMPS)/tf2_msgs
SETUP_DEV := $(SETUP) $(STAMPS)/torch $(STAMPS)/train $(STAMPS)/dev
SETUP_CORE := $(STAMPS_CORE)/package $(STAMPS_CORE)/test
# What the core must do without: ROS and everything that only training or checking uses.
BLOCKED := torch,rclpy,ament_index_python,rosidl_runtime_py,std_msgs,sensor_msgs,diff_planner_msgs,onnx,onnxruntime,safetensors
SLOW := (slow or browser or ros or realdata) and not gpu and not tensorrt

# A sourced ROS 2 or another environment would mix its packages into ours.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV AMENT_PREFIX_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH
unexport LD_LIBRARY_PATH _ROS_WHEELS_BOOTSTRAP_COMPLETE ROS_DISTRO ROS_VERSION ROS_PYTHON_VERSION

.PHONY: help demo node-demo test test-fast test-core test-slow test-gpu golden bench bench-ros lint docs format lock upgrade setup setup-dev clean

help: ## say what there is to make
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 20
	@echo "  PYTHON=python3.12 chooses the interpreter of a new environment."

demo: $(SETUP) ## set up and plan on the sample bag: a table here, a page in out/demo
	$(VENV)/bin/diff-planner demo --out out/demo

node-demo: $(SETUP) ## the same through the ROS 2 node, over DDS in real time; a page in out/node-demo
	source tools/ros_env.sh && diff-planner demo --ros --out out/node-demo

test: lint test-fast test-core ## set up, check the code, run the fast tests with and without torch and ROS

test-fast: $(SETUP_DEV)
	$(VENV)/bin/python -m pytest

# The same tests on the numpy of Jazzy, where torch and ROS are neither installed nor importable.
test-core: $(SETUP_CORE)
	$(VENV_CORE)/bin/python -m pytest --block-imports $(BLOCKED)

test-slow: $(SETUP_DEV) ## the tests that are slow, or need a browser, ROS or recorded data
	source tools/ros_env.sh && python -m pytest -m "$(SLOW)"

test-gpu: $(SETUP_DEV) ## the tests for a machine with a GPU
	source tools/ros_env.sh && python -m pytest -m "gpu or tensorrt"

golden: $(SETUP_DEV) ## keep the plans of the sample drive as they are now; look at make demo first
	$(VENV)/bin/python -m pytest tests/replay/test_golden.py --update-golden

lint: $(SETUP_DEV) ## ruff and mypy
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy

bench: $(SETUP) ## time of each stage of the sample bag's replay; time of scoring 80 candidates
	$(VENV)/bin/python bench/replay_speed.py
	$(VENV)/bin/python bench/score_speed.py

bench-ros: $(SETUP) ## raw sensors over DDS by transport, and the node in real time; seven minutes
	source tools/ros_env.sh && python bench/dds_transport.py --check && python bench/node_speed.py --check

docs: $(SETUP) ## write the tables of topics and parameters into the package README
	source tools/ros_env.sh; python -m diff_planner.ros.parameter_table; python -m diff_planner.ros.topic_table

format: $(SETUP_DEV) ## put the code into the one format
	$(VENV)/bin/ruff check --fix-only
	$(VENV)/bin/ruff format

lock: $(STAMPS)/base ## write requirements/*.txt from requirements/*.in; keeps versions that still fit
	source tools/pip_env.sh; $(VENV)/bin/python -m pip install -qq uv
	tools/lock.sh "$(CURDIR)/$(VENV)/bin/uv"

upgrade: $(STAMPS)/base ## the same with the newest versions
	source tools/pip_env.sh; $(VENV)/bin/python -m pip install -qq uv
	tools/lock.sh "$(CURDIR)/$(VENV)/bin/uv" --upgrade

setup: $(SETUP) ## what demo needs
setup-dev: $(SETUP_DEV) $(SETUP_CORE) ## what test needs

clean: ## remove all that make has made
	rm -rf $(VENV) $(VENV_CORE) out ros2_ws/build ros2_ws/install ros2_ws/log
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis $(PACKAGE)/*.egg-info

# Stamps: each is newer than the files it was made from, so a second run sets nothing up.
%/.stamps/base: requirements/build.txt
	@python=$$(tools/check_system.sh "$(PYTHON)"); \
	echo "diff_planner: making $* with $$python"; \
	"$$python" -m venv --clear $*; \
	tools/install.sh $* build
	@mkdir -p $(@D) && touch $@

$(STAMPS)/core: requirements/core.txt $(STAMPS)/base
	@tools/install.sh $(VENV) core
	@touch $@

$(STAMPS)/ros: requirements/ros.txt $(STAMPS)/core
	@tools/install.sh $(VENV) ros
	@touch $@

$(STAMPS)/messages: $(MSG_FILES) $(STAMPS)/ros tools/build_messages.sh tools/relocate_ros_wheels.py
	@tools/build_messages.sh $(VENV)
	@touch $@

$(STAMPS)/tf2_msgs: $(TF2_FILES) $(STAMPS)/ros tools/build_tf2_msgs.sh tools/relocate_ros_wheels.py
	@tools/build_tf2_msgs.sh $(VENV)
	@touch $@

$(STAMPS)/train: requirements/train.txt $(STAMPS)/core
	@tools/install.sh $(VENV) train
	@touch $@

$(STAMPS)/torch: requirements/torch-cpu.txt requirements/torch-pypi.txt $(STAMPS)/core tools/install_torch.sh
	@tools/install_torch.sh $(VENV)
	@touch $@

$(STAMPS)/dev: requirements/dev.txt $(STAMPS)/core
	@tools/install.sh $(VENV) dev
	@touch $@

$(STAMPS_CORE)/core: requirements/core-numpy126.txt $(STAMPS_CORE)/base
	@tools/install.sh $(VENV_CORE) core-numpy126
	@touch $@

$(STAMPS_CORE)/test: requirements/test.txt $(STAMPS_CORE)/core
	@tools/install.sh $(VENV_CORE) test
	@touch $@

# Editable, and without looking anywhere: all it needs is there by now.
%/.stamps/package: %/.stamps/core $(PACKAGE_FILES)
	@source tools/pip_env.sh; $*/bin/python -m pip install -qq --no-deps --no-build-isolation \
	    --no-index --editable $(PACKAGE)
	@touch $@

.PRECIOUS: %/.stamps/base %/.stamps/core
