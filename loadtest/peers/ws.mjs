// Hands events to WebSocket clients by username, with `ws`. A client listens at /?username=NAME; a publisher connects
// to /publish and sends "NAME\nEVENT". Arguments: the address and the port to listen on.
import { WebSocketServer } from "ws";

const [host, port] = process.argv.slice(2);
const clientsByUsername = new Map();

function listen(client, username) {
  const clients = clientsByUsername.get(username) ?? new Set();
  clientsByUsername.set(username, clients.add(client));
  client.on("close", () => {
    clients.delete(client);
    if (clients.size === 0) clientsByUsername.delete(username);
  });
}

function publish(message) {
  const end = message.indexOf("\n");
  const event = message.subarray(end + 1);
  for (const client of clientsByUsername.get(message.toString("utf8", 0, end)) ?? []) {
    client.send(event, { binary: false });
  }
}

const server = new WebSocketServer({ host, port, backlog: 4096 });
server.on("connection", (client, request) => {
  const { pathname, searchParams } = new URL(request.url, "ws://localhost");
  client.on("error", () => client.terminate());
  if (pathname === "/publish") client.on("message", publish);
  else listen(client, searchParams.get("username"));
});
