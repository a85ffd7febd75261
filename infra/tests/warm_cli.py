"""The AWS CLI without its start. It is the same program; but its imports take nine tenths of a short command's time, and
these checks run it some hundred times. So one process has them in memory, and a child of it does each command."""

import contextlib
import json
import os
import signal
import socket
import sys
import tempfile
import traceback
from pathlib import Path

CLIENT = """#!{python} -SE
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    request = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
    socket.send_fds(server, [len(request).to_bytes(8, "big")], [0, 1, 2])
    server.sendall(request)
    ended = server.recv(1)
    sys.exit(ended[0] if ended else 255)
"""
# Between looks for the process that this one works for.
LOOK_SECS = 1


@contextlib.contextmanager
def warm_cli():
    """While this is open, `aws` on the PATH is the warm one."""
    path = os.environ["PATH"]
    with tempfile.TemporaryDirectory() as place:
        client, address = Path(place) / "aws", str(Path(place) / "socket")
        client.write_text(CLIENT.format(python=sys.executable, address=address))
        client.chmod(0o755)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(address)
        listener.listen()
        server = os.fork()
        if server == 0:
            _serve(listener, os.getppid())
        listener.close()
        os.environ["PATH"] = f"{place}:{path}"
        try:
            yield
        finally:
            os.environ["PATH"] = path
            os.kill(server, signal.SIGKILL)
            os.waitpid(server, 0)


def _serve(listener, parent):
    import awscli.clidriver as cli

    # What every command imports when it begins.
    import awscli.customizations.s3.s3  # noqa: F401
    import boto3  # noqa: F401

    cli.create_clidriver()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listener.settimeout(LOOK_SECS)
    while os.getppid() == parent:
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            continue
        if os.fork() == 0:
            _run(cli, connection)
        connection.close()
    os._exit(0)


def _run(cli, connection):
    """A command, in a process that then ends."""
    status = 255
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        connection.setblocking(True)
        head, streams, _, _ = socket.recv_fds(connection, 8, 3)
        length, request = int.from_bytes(head, "big"), b""
        while len(request) < length:
            request += connection.recv(length - len(request))
        arguments, folder, environment = json.loads(request)
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        os.chdir(folder)
        # Where its own data is, which it noted when it was imported.
        environment["AWS_DATA_PATH"] = os.environ["AWS_DATA_PATH"]
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = ["aws", *arguments]
        status = cli.main() & 255
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        connection.sendall(bytes([status]))
        os._exit(status)
