"""An app for tests: it tells its name and pid, and does what its environment and its paths ask for.

Files in its working folder are its signals: it listens when `$START_GATE` is there, a request for /wait/NAME is answered
when NAME is there, one for /grow/BYTES makes it hold so many more, /health fails while `sick` or `sick.<pid>` is there, and says nothing while `hang` is. /exit/STATUS ends
it, /deaf ends its listening only.
"""
import os, signal, socket, sys, threading, time

NAME = os.environ.get("NAME", "app")
PID = os.getpid()
held = []


def wait_for(name):
    while not os.path.exists(name):
        time.sleep(0.01)


def reply(path):
    if path == "/health":
        while os.path.exists("hang"):
            time.sleep(0.01)
        sick = os.path.exists("sick") or os.path.exists("sick.%d" % PID)
        return (500, "sick") if sick else (200, "well")
    if path.startswith("/wait/"):
        print("waits", flush=True)
        wait_for(path[6:])
    if path.startswith("/grow/"):
        held.append(b"x" * int(path[6:]))
    if path == "/deaf":
        listener.shutdown(socket.SHUT_RDWR)
    if path.startswith("/exit/"):
        os._exit(int(path[6:]))
    return 200, "%s %d" % (NAME, PID)


def serve(connection):
    with connection, connection.makefile("rb") as lines:
        while True:
            request = lines.readline().split()
            if len(request) != 3:
                return
            while lines.readline().strip():
                pass
            status, body = reply(request[1].decode())
            head = "HTTP/1.1 %d Said\r\nContent-Length: %d\r\n\r\n" % (status, len(body))
            connection.sendall((head + body).encode())


def listen():
    if "SOCKET" in os.environ:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(os.environ["SOCKET"])
    else:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((os.environ["HOST"], int(os.environ["PORT"])))
    listener.listen(128)
    return listener


def stop(*_):
    print(NAME, "says goodbye", flush=True)
    if "STUBBORN" not in os.environ:
        os._exit(0)


signal.signal(signal.SIGTERM, stop)
print(NAME, "begins", PID, flush=True)
if "START_GATE" in os.environ:
    wait_for(os.environ["START_GATE"])
if "FAIL" in os.environ:
    print(NAME, "fails", file=sys.stderr, flush=True)
    sys.exit(int(os.environ["FAIL"]))
listener = listen()
print(NAME, "listens", flush=True)
print(NAME, "complains", file=sys.stderr, flush=True)
try:
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
except OSError:  # deaf, not dead
    listener.close()
    while True:
        signal.pause()
