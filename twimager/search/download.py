"""Download an image: by http and https only, in limited time and size, and nothing that is no image."""

from __future__ import annotations

import http.client
from contextlib import suppress
from http import HTTPStatus
from http.client import HTTPMessage
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote

from twimager.errors import UnreadableImage, UnsupportedFormat
from twimager.image.files import BEGINNING
from twimager.image.headers import is_supported
from twimager.search.connections import REDIRECTS, Transfer, make_opener, require_scheme

# The largest photographs of today's cameras have half of it.
MOST_BYTES = 64 * 1024 * 1024
# Seconds for a whole image, and for each read from the server meanwhile.
TIMEOUT = 30.0
SOCKET_TIMEOUT = 10.0
CHUNK = 1 << 16
# What may stand in an address as it is; the rest is percent-encoded.
PLAIN = "%/:=&?~#+!$,;'@()*[]"


def fetch(url: str, timeout: float = TIMEOUT, most_bytes: int = MOST_BYTES) -> bytes:
    """Return the file at an address, which begins as an image does.

    A redirect may lead to http and https only, and from a public server to none that only this machine or its network
    can reach. What counts is the IP address that is connected to; where a proxy connects, all that the host's name
    has here: if it has none, a redirect to another host is refused.

    Raises
    ------
    UnreadableImage
        If it is not there, no image, longer than `most_bytes`, or takes longer than `timeout` seconds.
    """
    transfer, socket_timeout = Transfer(), min(SOCKET_TIMEOUT, timeout)
    try:
        require_scheme(url)
        with (
            transfer.within(timeout),
            make_opener(transfer).open(quote(url, safe=PLAIN), timeout=socket_timeout) as response,
        ):
            return _image(response, most_bytes, transfer)
    except HTTPError as error:
        error.close()
        raise UnreadableImage(transfer.failure(_status(error))) from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise UnreadableImage(transfer.failure(_why(error))) from error


def _status(error: HTTPError) -> str:
    if 300 <= error.code < 400:
        return f"more than {REDIRECTS} redirects"
    with suppress(ValueError):
        return f"the server says {error.code} {HTTPStatus(error.code).phrase}"
    return f"the server says {error.code}"


def _why(error: Exception) -> str:
    reason = error.reason if isinstance(error, URLError) else error
    if isinstance(reason, TimeoutError):
        return f"the server is silent for {SOCKET_TIMEOUT:g} s"
    if isinstance(reason, OSError):
        return f"can't be fetched: {reason.strerror or reason}"
    return f"can't be fetched: {reason or type(error).__name__}"


def _image(response: Any, most_bytes: int, transfer: Transfer) -> bytes:
    """Read a response as long as it may be an image."""
    told = response.length
    if told is not None and told > most_bytes:
        raise UnreadableImage(f"{told} bytes, and at most {most_bytes} are fetched")
    data = bytearray()
    while chunk := response.read1(CHUNK):
        known = len(data) >= BEGINNING
        data += chunk
        if not known and len(data) >= BEGINNING:
            _require_image(data, response.headers)
        if len(data) > most_bytes:
            raise UnreadableImage(f"more than {most_bytes} bytes, which is the most that is fetched")
    if transfer.late or (told is not None and len(data) < told):
        raise UnreadableImage(transfer.failure("the server stopped in the midst of it"))
    _require_image(data, response.headers)
    return bytes(data)


def _require_image(data: bytearray, headers: HTTPMessage) -> None:
    if is_supported(bytes(data[:BEGINNING])):
        return
    kind = headers.get_content_type()
    raise UnsupportedFormat("a web page, not an image" if kind == "text/html" else f"not an image but {kind}")
