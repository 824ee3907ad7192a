"""An app for clients that leave: /wait never answers, /large is 2 MB, anything else reads its body and echoes its length.

/open tells how many connections are open.
"""
import asyncio, os

LARGE = b"x" * (2 << 20)
connections = set()


async def answer(reader, writer, path, fields):
    if path == "/wait":
        await reader.read()
        return False
    length = int(fields.get(b"content-length", 0))
    if length:
        await reader.readexactly(length)
    body = LARGE if path == "/large" else b"%d" % (len(connections) if path == "/open" else length)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    await writer.drain()
    return True


async def serve(reader, writer):
    connections.add(writer)
    try:
        more = True
        while more:
            lines = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
            fields = dict(line.lower().split(b": ", 1) for line in lines[1:] if line)
            more = await answer(reader, writer, lines[0].split(b" ")[1].decode(), fields)
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        connections.discard(writer)
        writer.close()


async def main():
    server = await asyncio.start_server(serve, os.environ["HOST"], int(os.environ["PORT"]), backlog=1024)
    await server.serve_forever()

asyncio.run(main())
