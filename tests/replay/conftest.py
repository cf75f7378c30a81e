import pytest

from diff_planner.data.sample_bag import make_sample_bag


@pytest.fixture(scope="session")
def sample_bag(tmp_path_factory):
    """One second of the synthetic drive: ten LiDAR sweeps, three cameras."""
    path = tmp_path_factory.mktemp("sample") / "sample.mcap"
    make_sample_bag(path, seed=0, duration_s=1.0)
    return path
