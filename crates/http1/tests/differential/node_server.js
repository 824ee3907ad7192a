// Answers every request with what Node's parser made of it: "x-seen: METHOD target body-length".
// Prints its port and Node's major version, ends when its standard input closes.
'use strict';
const http = require('http');

const server = http.createServer((request, response) => {
  let length = 0;
  request.on('data', (piece) => { length += piece.length; });
  request.on('end', () => {
    response.setHeader('x-seen', `${request.method} ${request.url} ${length}`);
    response.end();
  });
});
server.on('connect', (request, socket) => {
  socket.end(`HTTP/1.1 200 OK\r\nx-seen: ${request.method} ${request.url} 0\r\n\r\n`);
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port, process.versions.node.split('.')[0]));
process.stdin.on('end', () => process.exit(0)).resume();
