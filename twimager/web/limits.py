"""The limits of a local server, on the time, the memory and the connections that its clients take."""

from __future__ import annotations

# Seconds that a connection may be silent between requests, and in which a request, once begun, must be there in full.
IDLE_TIMEOUT = 30.0
REQUEST_TIMEOUT = 30.0
# Connections that are served at a time (a browser has six), seconds that another waits for one of them to end, and
# connections that may wait to be accepted, as far as the system lets them.
CONNECTIONS = 64
QUEUE_TIMEOUT = 1.0
BACKLOG = 1024
# Seconds that the end of the server waits for responses in the making.
SHUTDOWN_TIMEOUT = 2.0
# Bodies in memory at a time: one is worked on while the next comes in.
BODIES = 2
# Bytes of the headers of a request.
HEADER_BYTES = 1 << 16
# Bytes and seconds for which what follows a refusal is read all the same: some clients read a response only once they
# have sent all of their request, and lose it if the connection is ended before.
DRAIN_BYTES = 1 << 20
DRAIN_TIMEOUT = 1.0
