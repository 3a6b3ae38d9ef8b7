"""An S3 server, moto's, in this process."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
from moto.server import ThreadedMotoServer
from obstore.store import S3Store

BUCKET = "snapshots"


@dataclass(frozen=True)
class S3Server:
    """The server's address, and the environment variables for its clients."""

    url: str

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "key-of-a-test",
            "AWS_SECRET_ACCESS_KEY": "secret-of-a-test",
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def delete(self, key: str) -> None:
        """Delete an object."""
        S3Store(
            BUCKET,
            endpoint=self.url,
            access_key_id="key-of-a-test",
            secret_access_key="secret-of-a-test",
            region="us-east-1",
            client_options={"allow_http": True},
        ).delete(key)


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """Serve an empty bucket on a free loopback port."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        running = S3Server(f"http://{host}:{port}")
        httpx.put(f"{running.url}/{BUCKET}").raise_for_status()
        yield running
    finally:
        server.stop()
