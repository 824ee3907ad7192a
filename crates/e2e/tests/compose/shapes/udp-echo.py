import socket

server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("0.0.0.0", 9999))
while True:
    said, client = server.recvfrom(2048)
    server.sendto(b"echo " + said, client)
