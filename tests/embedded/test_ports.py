import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from infrastructure.embedded.ports import PortTaken, free_port, require_port


@contextmanager
def listener(host: str = "127.0.0.1") -> Iterator[int]:
    with socket.create_server((host, 0)) as server:
        yield server.getsockname()[1]


def test_a_free_port_is_taken_as_it_is() -> None:
    port = free_port(0)
    assert port > 0
    assert free_port(port) == port
    assert require_port(port) == port


@pytest.mark.parametrize("host", ["127.0.0.1", ""])
def test_where_somebody_listens_the_next_free_port_is_given(host: str) -> None:
    with listener(host) as taken:
        assert taken < free_port(taken) <= taken + 100


def test_connections_of_a_server_that_is_gone_do_not_take_its_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        connection, _ = server.accept()
    connection.close()  # the side that closes first keeps the port in TIME_WAIT
    client.close()
    assert free_port(port) == port


def test_a_required_port_that_is_taken_names_itself_and_its_setting() -> None:
    with listener() as taken, pytest.raises(PortTaken, match=f"Port {taken} on 127.0.0.1 is taken.*BYLINE_PORT"):
        require_port(taken)


def test_a_required_port_of_a_host_that_is_not_ours_says_why() -> None:
    with pytest.raises(PortTaken, match="cannot be used"):
        require_port(8000, "192.0.2.1")
