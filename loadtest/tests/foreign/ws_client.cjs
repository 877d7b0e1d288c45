// Prints each event of URL as a line, COUNT of them, then closes: Node's `ws` as the client.
const WebSocket = require('ws');

const [url, count] = process.argv.slice(2);
const socket = new WebSocket(url);
let left = Number(count);
const deadline = setTimeout(() => process.exit(1), 30_000);

socket.on('message', (event, isBinary) => {
  if (isBinary) process.exit(2);
  console.log(event.toString());
  left -= 1;
  if (left === 0) socket.close(1000);
});
socket.on('close', (code) => {
  clearTimeout(deadline);
  process.exitCode = code === 1000 ? 0 : 3;
});
