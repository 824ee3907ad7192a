// A frontend server, unmodified: it listens where `PORT` says, and says who it is.
const server = require("node:http").createServer((_, answer) => answer.end(`frontend ${process.pid}`));
server.listen(Number(process.env.PORT), process.env.HOST);
process.on("SIGTERM", () => process.exit(0));
