"""One page that says who runs it. What it says comes from a package that is installed from a wheel of the source."""
import os
from wsgiref.simple_server import make_server

from greeting import greet

PORT = int(os.environ.get("PORT", "8080"))


def application(environ, start_response):
    with open("visits", "a", encoding="utf-8") as visits:
        visits.write(environ["PATH_INFO"] + "\n")
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return [f"{greet(os.environ.get('GREETED', 'nobody'))}\nuser {os.getuid()}:{os.getgid()}\n".encode()]


with make_server("127.0.0.1", PORT, application) as server:
    print(f"python-web listens on port {PORT}", flush=True)
    server.serve_forever()
