"""The server for this machine's browser: who gets in, and that nobody else does."""

import socket
import sys
import threading
from collections.abc import Iterator
from http import HTTPStatus
from http.client import HTTPConnection, HTTPResponse
from urllib.parse import urlsplit

import pytest

from twimager import local_server
from twimager.errors import UsageError
from twimager.local_server import Answer, LocalServer, Refusal

MOST = 64
PAGE, NOTHING = "default-src 'self'", "default-src 'none'; frame-ancestors 'none'"
PICTURE = bytes(range(256)) * 5000


class Site:
    """Has a page and a picture, and keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, bytes]] = []

    def get(self, path: str) -> Answer:
        if path == "":
            return Answer(b"<p>page", "text/html; charset=utf-8", policy=PAGE)
        if path == "file":
            return Answer(PICTURE, "image/png")
        raise Refusal(HTTPStatus.NOT_FOUND, f"there is no {path}")

    def post(self, path: str, body: bytes) -> Answer:
        self.told.append((path, body))
        return Answer(b"{}", last=path == "done")


class Client:
    """Asks as a browser does that shows the server's page, but for what a test has otherwise."""

    def __init__(self, server: LocalServer) -> None:
        parts = urlsplit(server.address)
        self.server, self.host, self.base = server, parts.netloc, parts.path

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str | None) -> tuple[int, bytes]:
        response, data = self.asked(method, self.base + path, body, **headers)
        return response.status, data

    def asked(
        self, method: str, target: str, body: bytes | None = None, **headers: str | None
    ) -> tuple[HTTPResponse, bytes]:
        usual = {"Host": self.host, "Origin": f"http://{self.host}" if method != "GET" else None}
        given = {**usual, "Sec_Fetch_Site": "same-origin", **headers}
        connection = HTTPConnection(self.host, timeout=10)
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in given.items():
            if value is not None:
                connection.putheader(name.replace("_", "-"), value)
        if body is not None and "Content_Length" not in headers:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        data = response.read()
        connection.close()
        return response, data


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
def client(site: Site) -> Iterator[Client]:
    with LocalServer(site, most_bytes=MOST) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield Client(server)
        server.shutdown()
        thread.join()


def test_who_knows_the_address_is_answered(client: Client, site: Site) -> None:
    assert client.ask("GET", "") == (200, b"<p>page")
    assert client.ask("GET", "", Sec_Fetch_Site="none") == (200, b"<p>page")
    assert client.ask("GET", "", Sec_Fetch_Site=None) == (200, b"<p>page")
    assert client.ask("GET", "file") == (200, PICTURE)
    assert client.ask("POST", "change", b"{}") == (200, b"{}")
    assert site.told == [("change", b"{}")]


def test_every_answer_is_kept_by_nobody_and_read_as_what_it_is(client: Client) -> None:
    for target, policy in ((client.base, PAGE), (client.base + "file", NOTHING), ("/", NOTHING)):
        headers = client.asked("GET", target)[0].headers
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
def test_without_the_token_nothing_is_told(client: Client, site: Site, change: tuple[str, str]) -> None:
    target = "/{}/file".replace(*change).format(client.base.strip("/"))
    for method in ("GET", "POST"):
        response, data = client.asked(method, target, b"{}" if method == "POST" else None)
        assert (response.status, data) == (403, b"the address is not the one that was given out\n")
    assert said(client, f"GET /\xe9{target} HTTP/1.1\r\nHost: {client.host}\r\n\r\n") == 403
    assert site.told == []


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
        assert client.ask("GET", "", Host=host)[0] == 403
        assert client.ask("POST", "change", b"{}", Host=host)[0] == 403
    assert client.asked("GET", f"http://evil.example{client.base}")[0].status == 403
    assert site.told == []


def test_two_hosts_are_none(client: Client) -> None:
    assert said(client, f"GET {client.base} HTTP/1.1\r\nHost: {client.host}\r\nHost: evil.example\r\n\r\n") == 403


def test_other_pages_are_refused(client: Client, site: Site) -> None:
    port = int(client.host.split(":")[1])
    for origin in ("null", "http://evil.example", f"http://127.0.0.1:{port + 1}", f"https://{client.host}", "", None):
        assert client.ask("POST", "change", b"{}", Origin=origin)[0] == 403
        assert client.ask("GET", "file", Origin=origin)[0] == (200 if origin is None else 403)
    for relation in ("cross-site", "same-site", "none", "SAME-ORIGIN", ""):
        assert client.ask("POST", "change", b"{}", Sec_Fetch_Site=relation)[0] == 403
        assert client.ask("GET", "file", Sec_Fetch_Site=relation)[0] == (200 if relation == "none" else 403)
    assert site.told == []


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "get", "X"])
def test_there_are_two_methods(client: Client, site: Site, method: str) -> None:
    response, _ = client.asked(method, client.base + "change", b"{}")
    assert response.status == 501
    assert "Access-Control-Allow-Methods" not in response.headers
    assert site.told == []


def test_a_body_is_as_long_as_it_may_be(client: Client, site: Site) -> None:
    assert client.ask("POST", "change", b"x" * MOST)[0] == 200
    assert client.ask("POST", "change", b"x" * (MOST + 1))[0] == 413
    assert client.ask("POST", "change", b"x" * 500_000)[0] == 413
    for length in ("-1", "1e3", "9" * 5000, "+2", "\u0662", "2, 2"):
        head = f"POST {client.base}change HTTP/1.1\r\nHost: {client.host}\r\nOrigin: http://{client.host}\r\n"
        assert said(client, f"{head}Content-Length: {length}\r\n\r\n") == 411
    assert client.ask("POST", "change")[0] == 411
    assert client.ask("POST", "change", b"2\r\n{}\r\n0\r\n\r\n", Transfer_Encoding="chunked")[0] == 411
    assert site.told == [("change", b"x" * MOST)]


def test_what_is_cut_short_is_not_done(client: Client, site: Site) -> None:
    head = f"POST {client.base}change HTTP/1.1\r\nHost: {client.host}\r\nOrigin: http://{client.host}\r\n"
    assert said(client, f"{head}Content-Length: 9\r\n\r\n{{}}") == 400
    assert site.told == []


def test_a_body_is_no_second_request(client: Client, site: Site) -> None:
    hidden = f"POST {client.base}hidden HTTP/1.1\r\nHost: {client.host}\r\nOrigin: http://{client.host}\r\n"
    hidden += "Content-Length: 0\r\n\r\n"
    for first in ("GET", "POST"):
        for how in (f"Content-Length: {len(hidden)}", "Transfer-Encoding: chunked"):
            said(client, f"{first} {client.base}x HTTP/1.1\r\nHost: {client.host}\r\n{how}\r\n\r\n{hidden}")
    assert site.told == []


def test_other_addresses_of_this_machine_have_no_such_port(client: Client) -> None:
    port = client.server.server_port
    assert client.server.socket.getsockname() == ("127.0.0.1", port)
    others = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)} - {"127.0.0.1"}
    for other in others | ({"127.0.0.2"} if sys.platform == "linux" else set()):
        with pytest.raises(OSError, match=r"refused|timed out|unreachable"):
            socket.create_connection((other, port), timeout=2)


def test_no_name_server_is_asked(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getfqdn", pytest.fail)
    LocalServer(site).server_close()


def test_a_port_that_is_taken_is_said(client: Client, site: Site) -> None:
    for port in (client.server.server_port, 70_000):
        with pytest.raises(UsageError, match=f"--port {port}"):
            LocalServer(site, port)


def test_the_site_says_when_it_is_done(site: Site) -> None:
    with LocalServer(site) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        assert Client(server).ask("POST", "done", b"{}") == (200, b"{}")
        thread.join(10)
        assert not thread.is_alive()


def test_a_connection_that_is_kept_open_ends_too(client: Client, site: Site) -> None:
    head = f"POST {client.base}change HTTP/1.1\r\nHost: {client.host}\r\nOrigin: http://{client.host}\r\n"
    request = f"{head}Content-Length: 2\r\n\r\n{{}}".encode()
    with socket.create_connection(("127.0.0.1", client.server.server_port), timeout=10) as kept:
        kept.sendall(request)
        assert b" 200 " in kept.recv(1 << 16)
        client.server.shutdown()
        kept.sendall(request)
        assert b" 410 " in kept.recv(1 << 16)
    assert len(site.told) == 1


def test_one_that_says_nothing_keeps_nobody_waiting(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_server._Handler, "timeout", 0.2)
    with LocalServer(site) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        with socket.create_connection(("127.0.0.1", server.server_port), timeout=10) as silent:
            assert Client(server).ask("GET", "")[0] == 200
            assert silent.recv(1) == b""
        server.shutdown()
        thread.join()


def test_nothing_is_printed_of_what_is_asked(client: Client, capfd: pytest.CaptureFixture[str]) -> None:
    client.ask("GET", "none")
    client.ask("GET", "", Host="evil.example")
    with socket.create_connection(("127.0.0.1", client.server.server_port)) as rude:
        rude.sendall(f"GET {client.base}file HTTP/1.1\r\nHost: {client.host}\r\n\r\n".encode())
        rude.recv(1)
    assert capfd.readouterr() == ("", "")


def said(client: Client, request: str) -> int:
    """Send a request as it stands; return the status of the answer."""
    with socket.create_connection(("127.0.0.1", client.server.server_port), timeout=10) as connection:
        connection.sendall(request.encode())
        connection.shutdown(socket.SHUT_WR)
        return int(connection.recv(1 << 16).split()[1])
