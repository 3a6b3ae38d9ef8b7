"""A service over an index in a separate process, to be killed: ... DATABASE PORT [SECONDS].

It embeds by words, and takes so many seconds for each page.
"""

import socket
import sys
import time

from inference_worker.http.server.limited_server import limited_server
from tests.files.pages import WordEmbeddings
from tests.servers.documents_service import KEY, splitter
from tests.servers.service import app_over

if __name__ == "__main__":
    database, port, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    slow = WordEmbeddings(before=lambda texts: time.sleep(seconds))
    app = app_over(
        database,
        lambda fingerprint: slow,
        splitter=splitter,
        admin_key=KEY,
        min_confidence=0.0,
        isolated=True,
    )
    limited_server(app, app.state.settings).run([socket.create_server(("127.0.0.1", port))])
