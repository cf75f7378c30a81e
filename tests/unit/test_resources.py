import pytest

from diff_planner import resources
from diff_planner.errors import ConfigError


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Pretend that the package lies at a place below tmp_path; returns the prefix."""

    def pretend(place="lib/python3.11/site-packages/diff_planner"):
        monkeypatch.setattr(resources, "_PACKAGE", tmp_path / place)
        monkeypatch.delenv("AMENT_PREFIX_PATH", raising=False)
        monkeypatch.chdir(tmp_path)
        return tmp_path

    return pretend


def make(folder):
    folder.mkdir(parents=True)
    return folder


def test_in_a_checkout_its_own_models_and_messages_are_found(repository):
    assert resources.checkout() == repository
    assert resources.model_folder("nano") == repository / "models" / "nano"
    assert (resources.message_folder() / "Trajectory.msg").is_file()


@pytest.mark.parametrize(
    ("package", "share"),
    [
        ("lib/python3.11/site-packages/diff_planner", "share"),  # pip, colcon
        ("local/lib/python3.12/dist-packages/diff_planner", "local/share"),  # Debian's pip
        ("target/diff_planner", "target/share"),  # pip --target
    ],
)
def test_an_installed_package_finds_what_was_installed_with_it(install, package, share):
    prefix = install(package)
    nano = make(prefix / share / "diff_planner" / "models" / "nano")
    messages = make(prefix / share / "diff_planner" / "msg")
    assert resources.checkout() is None
    assert resources.model_folder("nano") == nano
    assert resources.message_folder() == messages


def test_a_ros_workspace_gives_the_messages_of_its_own_package(install, monkeypatch):
    prefix = install()
    messages = make(prefix / "ws" / "msgs" / "share" / "diff_planner_msgs" / "msg")
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"{prefix / 'ws' / 'other'}:{prefix / 'ws' / 'msgs'}")
    assert resources.message_folder() == messages


def test_a_folder_here_does_not_take_the_place_of_a_model_that_comes_with_the_package(install):
    prefix = install()
    nano = make(prefix / "share" / "diff_planner" / "models" / "nano")
    here = make(prefix / "nano")
    assert resources.model_folder("nano") == nano
    assert resources.model_folder("./nano").resolve() == here
    make(prefix / "mine")
    assert resources.model_folder("mine").resolve() == prefix / "mine"


def test_what_is_nowhere_is_an_error_that_lists_where_it_was_looked_for(install):
    prefix = install()
    with pytest.raises(ConfigError, match=rf"model 'nano': found in none of .*{prefix}/share/"):
        resources.model_folder("nano")
    with pytest.raises(ConfigError, match=r"model: found in none of other"):
        resources.model_folder("./other")
    with pytest.raises(ConfigError, match="message definitions: found in none of"):
        resources.message_folder()


def test_a_package_near_the_root_of_the_file_system_can_be_used(install, monkeypatch):
    install()
    monkeypatch.setattr(resources, "_PACKAGE", resources.Path("/app/diff_planner"))
    assert resources.checkout() is None
    with pytest.raises(ConfigError, match="found in none of"):
        resources.model_folder("nano")
