"""The server for this machine's browser: who gets in, and that nobody else does."""

import socket
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from http import HTTPStatus
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from tests.support.client import Client
from twimager.errors import UsageError
from twimager.web import limits
from twimager.web.handler import Handler
from twimager.web.server import LocalServer
from twimager.web.site import Refusal, Response

MOST = 64
PAGE, NOTHING = "default-src 'self'", "default-src 'none'; frame-ancestors 'none'"
PICTURE = bytes(range(256)) * 5000


class Site:
    """Has a page and a picture, and keeps what is posted."""

    def __init__(self) -> None:
        self.posted: list[tuple[str, bytes]] = []

    def get(self, path: str) -> Response:
        if path == "":
            return Response(b"<p>page", "text/html; charset=utf-8", policy=PAGE)
        if path == "file":
            return Response(PICTURE, "image/png")
        raise Refusal(HTTPStatus.NOT_FOUND, f"there is no {path}")

    def post(self, path: str, body: bytes) -> Response:
        self.posted.append((path, body))
        return Response(b"{}", last=path == "done")


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
def client(site: Site) -> Iterator[Client]:
    with serving(site) as client:
        yield client


@contextmanager
def serving(site: Site, most_bytes: int = MOST) -> Iterator[Client]:
    with LocalServer(site, most_bytes=most_bytes) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield Client(server)
        server.shutdown()
        thread.join()


def test_a_request_for_the_whole_address_is_answered(client: Client, site: Site) -> None:
    assert client.request("GET", "") == (200, b"<p>page")
    assert client.request("GET", "", Sec_Fetch_Site="none") == (200, b"<p>page")
    assert client.request("GET", "", Sec_Fetch_Site=None) == (200, b"<p>page")
    assert client.request("GET", "file") == (200, PICTURE)
    assert client.request("POST", "change", b"{}") == (200, b"{}")
    assert site.posted == [("change", b"{}")]


def test_every_answer_is_kept_by_nobody_and_read_as_what_it_is(client: Client) -> None:
    for target, policy in ((client.base, PAGE), (client.base + "file", NOTHING), ("/", NOTHING)):
        headers = client.response("GET", target)[0].headers
        assert headers["Cache-Control"] == "no-store"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert headers["Content-Security-Policy"] == policy
        assert "Access-Control-Allow-Origin" not in headers
        assert "Python" not in headers["Server"]


@pytest.mark.parametrize(
    "change", [("{}", "x{}"), ("{}", "{}x"), ("{}", ""), ("{}/", "{}"), ("{}", "%s"), ("{}/", "?")]
)
def test_without_the_token_nothing_is_served(client: Client, site: Site, change: tuple[str, str]) -> None:
    target = "/{}/file".replace(*change).format(client.base.strip("/"))
    for method in ("GET", "POST"):
        response, data = client.response(method, target, b"{}" if method == "POST" else None)
        assert (response.status, data) == (403, b"the address is not the one that was given out\n")
    assert status_of(client, f"GET /\xe9{target} HTTP/1.1\r\nHost: {client.host}\r\n\r\n") == 403
    assert site.posted == []


def test_each_server_has_a_token_of_its_own(site: Site) -> None:
    addresses = set()
    for _ in range(3):
        with LocalServer(site) as server:
            addresses.add(urlsplit(server.address).path)
    assert len(addresses) == 3
    assert min(map(len, addresses)) > 40


def test_a_name_that_leads_here_is_refused(client: Client, site: Site) -> None:
    port = client.host.split(":")[1]
    for host in (f"evil.example:{port}", "evil.example", f"localhost:{port}", "127.0.0.1", "127.0.0.1:1", "", None):
        assert client.request("GET", "", Host=host)[0] == 403
        assert client.request("POST", "change", b"{}", Host=host)[0] == 403
    assert client.response("GET", f"http://evil.example{client.base}")[0].status == 403
    assert site.posted == []


def test_two_hosts_are_none(client: Client) -> None:
    assert status_of(client, f"GET {client.base} HTTP/1.1\r\nHost: {client.host}\r\nHost: evil.example\r\n\r\n") == 403


def test_other_pages_are_refused(client: Client, site: Site) -> None:
    port = int(client.host.split(":")[1])
    for origin in ("null", "http://evil.example", f"http://127.0.0.1:{port + 1}", f"https://{client.host}", "", None):
        assert client.request("POST", "change", b"{}", Origin=origin)[0] == 403
        assert client.request("GET", "file", Origin=origin)[0] == (200 if origin is None else 403)
    for relation in ("cross-site", "same-site", "none", "SAME-ORIGIN", ""):
        assert client.request("POST", "change", b"{}", Sec_Fetch_Site=relation)[0] == 403
        assert client.request("GET", "file", Sec_Fetch_Site=relation)[0] == (200 if relation == "none" else 403)
    assert site.posted == []


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "get", "X"])
def test_there_are_two_methods(client: Client, site: Site, method: str) -> None:
    response, _ = client.response(method, client.base + "change", b"{}")
    assert response.status == 501
    assert "Access-Control-Allow-Methods" not in response.headers
    assert site.posted == []


def test_a_body_is_as_long_as_it_may_be(client: Client, site: Site) -> None:
    assert client.request("POST", "change", b"x" * MOST)[0] == 200
    assert client.request("POST", "change", b"x" * (MOST + 1))[0] == 413
    assert client.request("POST", "change", b"x" * 500_000)[0] == 413
    for length in ("-1", "1e3", "9" * 5000, "+2", "\u0662", "2, 2"):
        head = f"POST {client.base}change HTTP/1.1\r\nHost: {client.host}\r\nOrigin: http://{client.host}\r\n"
        assert status_of(client, f"{head}Content-Length: {length}\r\n\r\n") == 400
    assert client.request("POST", "change")[0] == 411
    assert status_of(client, f"{head}Transfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n") == 411
    assert site.posted == [("change", b"x" * MOST)]


def test_what_is_cut_short_is_not_done(client: Client, site: Site) -> None:
    head = f"POST {client.base}change HTTP/1.1\r\nHost: {client.host}\r\nOrigin: http://{client.host}\r\n"
    assert status_of(client, f"{head}Content-Length: 9\r\n\r\n{{}}") == 400
    assert site.posted == []


@pytest.mark.parametrize(
    "how",
    [
        "Content-Length: {}", "Content-Length: +{}", "Content-Length: -{}", "Content-Length: {0}, {0}",
        "Content-Length: 0x{}", "Content-Length: {}.0", "Content-Length: 1 {}", "Content-Length: {};",
        "Content-Length:", "Content-Length : {}", "Content-Length:\r\n {}",
        "Content-Length: {0}\r\nContent-Length: {0}", "Content-Length: 0\r\ncontent-length: {}",
        "Content-Length: {}\r\nTransfer-Encoding: chunked", "Content-Length: 0\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: chunked", "Transfer-Encoding: gzip, chunked", "X: y\r\n Content-Length: {}",
        "X: y\rContent-Length: {}", "X: y\0\r\nContent-Length: {}", "X\r\nContent-Length: {}",
    ],
)  # fmt: skip
def test_a_body_is_no_second_request(client: Client, site: Site, how: str) -> None:
    own = f"Host: {client.host}\r\nOrigin: http://{client.host}\r\n"
    hidden = f"POST {client.base}hidden HTTP/1.1\r\n{own}Content-Length: 0\r\n\r\n"
    for first in ("GET", "POST", "PUT"):
        head = f"{first} {client.base} HTTP/1.1\r\n{own}{how.format(len(hidden))}\r\n\r\n"
        if first == "POST" and how == "Content-Length: {}":
            continue  # that is how it has to be
        answers = all_received(client, head + hidden).split(b"HTTP/1.1 ")
        assert len(answers) == 2
        assert int(answers[1][:3]) in {"GET": [400], "POST": [400, 411], "PUT": [400, 501]}[first]
    assert site.posted == []


@pytest.mark.parametrize(
    ("request_line", "headers", "status"),
    [
        ("GET {}", "", 400), ("GET {} HTTP/0.9", "", 400), ("GET {} HTTP/1", "", 400), ("GET  {} HTTP/1.1", "", 400),
        ("GET\t{} HTTP/1.1", "", 400), ("GET {} x HTTP/1.1", "", 400), ("GET {}\0 HTTP/1.1", "", 400), ("{}", "", 400),
        ("", "", 400), ("GET {} HTTP/2.0", "", 505), ("GET {}" + 70_000 * "x" + " HTTP/1.1", "", 414),
        ("GET {} HTTP/1.1", "X: y\r\n z\r\n", 400), ("GET {} HTTP/1.1", " X: y\r\n", 400),
        ("GET {} HTTP/1.1", "X\r\n", 400), ("GET {} HTTP/1.1", ": y\r\n", 400), ("GET {} HTTP/1.1", "X : y\r\n", 400),
        ("GET {} HTTP/1.1", "From me\r\n", 400), ("GET {} HTTP/1.1", 101 * "X: y\r\n", 431),
        ("GET {} HTTP/1.1", f"X: {70_000 * 'y'}\r\n", 431), ("GET {} HTTP/1.1", 80 * f"X: {1000 * 'y'}\r\n", 431),
    ],
)  # fmt: skip
def test_what_is_no_request_is_refused_and_the_connection_ended(
    client: Client, request_line: str, headers: str, status: int
) -> None:
    line = request_line.format(client.base)
    answer = all_received(client, f"{line}\r\nHost: {client.host}\r\n{headers}\r\n")
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"\r\nConnection: close\r\n" in answer


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_request_that_drips_is_cut_off(
    client: Client, site: Site, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.setattr(limits, "REQUEST_TIMEOUT", 0.3)
    head = f"{method} {client.base} HTTP/1.1\r\nHost: {client.host}\r\nOrigin: http://{client.host}\r\n"
    head += f"Content-Length: {MOST}\r\n\r\n" if method == "POST" else "X-Long: "
    with connected(client) as connection:
        connection.sendall(head.encode())
        connection.settimeout(0.01)
        for _ in range(MOST - 1):
            with suppress(TimeoutError):
                assert connection.recv(1) == b""
                break
            connection.sendall(b"x")
        else:
            pytest.fail("nobody ended it")
    assert site.posted == []


def test_a_connection_may_be_silent_between_requests(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REQUEST_TIMEOUT", 0.1)
    with connected(client) as connection:
        for _ in range(3):
            connection.sendall(f"GET {client.base} HTTP/1.1\r\nHost: {client.host}\r\n\r\n".encode())
            while not connection.recv(1 << 16).endswith(b"<p>page"):
                pass
            time.sleep(0.2)


def test_many_at_once_are_all_answered(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CONNECTIONS", 4)
    with LocalServer(site) as server, ExitStack() as stack:
        client = Client(server)
        many = [stack.enter_context(connected(client)) for _ in range(100)]
        for one in many:  # all of them keep their connections open
            one.sendall(f"GET {client.base} HTTP/1.1\r\nHost: {client.host}\r\n\r\n".encode())
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        for one in many:
            assert one.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
        server.shutdown()


def test_too_many_for_long_are_refused_for_now(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CONNECTIONS", 2)
    monkeypatch.setattr(limits, "QUEUE_TIMEOUT", 0.1)
    with serving(site) as client:
        with connected(client), connected(client):
            for _ in range(3):
                response, text = client.response("GET", client.base)
                assert (response.status, text) == (503, b"too many requests at once\n")
                assert int(response.headers["Retry-After"]) > 0
                assert response.headers["Connection"] == "close"
                assert response.headers["X-Content-Type-Options"] == "nosniff"
        while client.request("GET", "")[0] == 503:
            time.sleep(0.02)
        assert client.request("GET", "") == (200, b"<p>page")


def test_few_bodies_are_in_memory_at_a_time_and_none_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(Site):
        at_work, most = 0, 0

        def post(self, path: str, body: bytes) -> Response:
            self.at_work += 1
            self.most = max(self.most, self.at_work)
            time.sleep(0.2)
            self.at_work -= 1
            return super().post(path, body)

    monkeypatch.setattr(limits, "REQUEST_TIMEOUT", 0.3)  # does not count while a body has to wait
    site, body = Slow(), bytes(100_000)
    with serving(site, len(body)) as client, ThreadPoolExecutor(6) as pool:
        assert list(pool.map(lambda _: client.request("POST", "change", body)[0], range(6))) == 6 * [200]
    assert site.most == limits.BODIES
    assert site.posted == 6 * [("change", body)]


def test_other_addresses_of_this_machine_have_no_such_port(client: Client) -> None:
    port = client.server.server_port
    assert client.server.socket.getsockname() == ("127.0.0.1", port)
    others = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)} - {"127.0.0.1"}
    for other in others | ({"127.0.0.2"} if sys.platform == "linux" else set()):
        with pytest.raises(OSError, match=r"refused|timed out|unreachable"):
            socket.create_connection((other, port), timeout=2)


def test_no_name_server_is_queried(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getfqdn", pytest.fail)
    LocalServer(site).server_close()


def test_a_port_that_is_taken_is_reported(client: Client, site: Site) -> None:
    for port in (client.server.server_port, 70_000):
        with pytest.raises(UsageError, match=f"--port {port}"):
            LocalServer(site, port)


def test_the_site_ends_the_server(site: Site) -> None:
    with LocalServer(site) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        assert Client(server).request("POST", "done", b"{}") == (200, b"{}")
        thread.join(10)
        assert not thread.is_alive()


def test_a_connection_that_is_kept_open_ends_too(client: Client, site: Site) -> None:
    kept = HTTPConnection(client.host, timeout=10)
    for status in (200, 410):
        kept.request("POST", f"{client.base}change", b"{}", {"Origin": f"http://{client.host}"})
        answer = kept.getresponse()
        answer.read()
        assert answer.status == status
        client.server.shutdown()
    kept.close()
    assert len(site.posted) == 1


def test_the_end_waits_for_what_is_being_answered(capfd: pytest.CaptureFixture[str]) -> None:
    class Slow(Site):
        begun = threading.Event()

        def post(self, path: str, body: bytes) -> Response:
            self.begun.set()
            time.sleep(0.3)
            return super().post(path, body)

    site = Slow()
    with LocalServer(site) as server, ThreadPoolExecutor(2) as pool:
        running = pool.submit(server.run, False)
        answer = pool.submit(Client(server).request, "POST", "change", b"{}")
        assert site.begun.wait(10)
        server.shutdown()
        running.result()
        assert site.posted == [("change", b"{}")]
        assert answer.result() == (200, b"{}")


def test_an_idle_connection_keeps_nobody_waiting(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Handler, "timeout", 0.2)
    with LocalServer(site) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        with socket.create_connection(("127.0.0.1", server.server_port), timeout=10) as silent:
            assert Client(server).request("GET", "")[0] == 200
            assert silent.recv(1) == b""
        server.shutdown()
        thread.join()


def test_nothing_is_printed_of_a_request(client: Client, capfd: pytest.CaptureFixture[str]) -> None:
    client.request("GET", "none")
    client.request("GET", "", Host="evil.example")
    with socket.create_connection(("127.0.0.1", client.server.server_port)) as rude:
        rude.sendall(f"GET {client.base}file HTTP/1.1\r\nHost: {client.host}\r\n\r\n".encode())
        rude.recv(1)
    assert capfd.readouterr() == ("", "")


def connected(client: Client) -> socket.socket:
    return socket.create_connection(("127.0.0.1", client.server.server_port), timeout=10)


def all_received(client: Client, request: str) -> bytes:
    """Send what looks like one or more requests; return all that comes until the server ends the connection."""
    with connected(client) as connection:
        connection.sendall(request.encode())
        return b"".join(iter(lambda: connection.recv(1 << 16), b""))


def status_of(client: Client, request: str) -> int:
    """Send a request as it stands; return the status of the answer."""
    with socket.create_connection(("127.0.0.1", client.server.server_port), timeout=10) as connection:
        connection.sendall(request.encode())
        connection.shutdown(socket.SHUT_WR)
        return int(connection.recv(1 << 16).split()[1])
