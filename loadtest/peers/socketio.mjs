// Hands events to Socket.IO clients by username, one room each. A client listens with ?username=NAME; a publisher
// connects without one and emits "publish", NAME, EVENT. Arguments: the address and the port to listen on.
import { createServer } from "node:http";
import { Server } from "socket.io";

const [host, port] = process.argv.slice(2);
const http = createServer();
const server = new Server(http, { transports: ["websocket"], serveClient: false });

server.on("connection", (client) => {
  const { username } = client.handshake.query;
  if (username !== undefined) client.join(username);
  else client.on("publish", (name, event) => server.to(name).emit("e", event));
});

http.listen({ host, port: Number(port), backlog: 4096 });
