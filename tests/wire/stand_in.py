"""A server to be sent signals: `stand_in.py [workers [fine|broken [port]]]`; a worker gets the port as second argument.

Prints `ready HOST PORT`, and then a word for each thing that happens.
"""

from __future__ import annotations

import os
import sys

from starlette.applications import Starlette

from proxy.config.values import Listen
from proxy.wire.reply import Inbound, Reply
from proxy.wire.server import run
from proxy.wire.workers import Tether, reserve, starter, supervise


def _said() -> None:
    os.write(1, b"reload\n")  # in one piece: two workers say it at once


def pid(inbound: Inbound, reply: Reply) -> None:
    reply.whole(200, b"", str(os.getpid()).encode())


def held(inbound: Inbound, reply: Reply) -> None:
    print("held", flush=True)


def tell(address: tuple[str, int]) -> None:
    print("ready", *address, flush=True)


def serve(port: int, tether: Tether | None) -> int:
    endpoints = {("POST", "/pid"): pid, ("POST", "/held"): held}
    return run(
        Listen(port=port),
        Starlette(),
        endpoints,
        reuse_port=tether is not None,
        on_reload=_said,
        ready=tell if tether is None else None,
        tether=tether,
    )


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["worker"]:
        if arguments[2] == "broken":
            return 7
        return serve(int(arguments[1]), Tether.inherited())
    if not arguments:
        return serve(0, None)
    sockets, port = reserve("127.0.0.1", int(arguments[2]) if len(arguments) > 2 else 0)
    command = [sys.executable, __file__, "worker", str(port), arguments[1] if len(arguments) > 1 else "fine"]
    status = supervise(int(arguments[0]), starter(command), patience=5.0, all_ready=lambda: tell(("127.0.0.1", port)))
    for sock in sockets:
        sock.close()
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
