"""A domain is taken where its first port is, and one that is taken is not chosen."""

import socket

import pytest

from diff_planner.errors import MissingInputError
from diff_planner.ros import domain


@pytest.fixture
def taken():
    """A free domain whose first port is then held, as a participant on loopback holds it."""
    domain_id = domain.free_domain_id()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as participant:
        participant.bind(("127.0.0.1", domain.first_port(domain_id)))
        yield domain_id


def test_a_free_domain_is_one_that_may_be_used():
    domain_id = domain.free_domain_id()
    assert domain.LOWEST <= domain_id <= domain.HIGHEST
    assert domain.is_free(domain_id)


def test_the_first_port_of_a_domain_is_the_one_that_dds_prescribes():
    assert domain.first_port(0) == 7410
    assert domain.first_port(101) == 32660


def test_a_domain_with_a_participant_is_not_free(taken):
    assert not domain.is_free(taken)


def test_where_every_domain_is_taken_it_is_said(taken, monkeypatch):
    monkeypatch.setattr(domain, "LOWEST", taken)
    monkeypatch.setattr(domain, "HIGHEST", taken)
    with pytest.raises(MissingInputError, match=r"every ROS domain from \d+ to \d+ is in use"):
        domain.free_domain_id()
