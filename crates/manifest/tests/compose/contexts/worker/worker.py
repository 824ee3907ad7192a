"""Takes jobs from a list of Redis and counts them, in the protocol itself: no library is needed."""
import os
import socket

host = os.environ.get("QUEUE_HOST", "queue")
with socket.create_connection((host, 6379)) as connection:
    stream = connection.makefile("rwb", buffering=0)
    print("waiting for jobs", flush=True)
    while True:
        stream.write(b"BLPOP jobs 1\r\n")
        if stream.readline().strip() == b"*-1":
            continue
        for _ in range(4):
            line = stream.readline()
        print("done:", line.strip().decode(), flush=True)
        stream.write(b"INCR done\r\n")
        stream.readline()
