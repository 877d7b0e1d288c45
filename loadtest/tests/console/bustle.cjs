// A server with something to show: people at their screens, channels, and events that come in waves, until the standard input
// ends.
//
// usage: bustle.cjs ADDRESS REDIS_PORT

const Redis = require("ioredis");
const WebSocket = require("ws");

const [address, redisPort] = process.argv.slice(2);
const NAMES = ["alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy", "olivia", "peggy", "rupert", "sybil", "trent", "victor", "wendy", "zoë"];
const CHANNELS = ["lobby", "build:main", "room:1", "room:2", "room:3"];
const SCREENS = 140;
const FOLLOWERS = 25;
const TICK_MS = 50;

/** The first of a list most often. */
const oneOf = (list) => list[Math.floor(Math.random() ** 2 * list.length)];

const connect = (path) => new WebSocket(`ws://${address}${path}`);

for (let screen = 0; screen < SCREENS; screen += 1) connect(`/ws?username=${encodeURIComponent(oneOf(NAMES))}`);

for (let follower = 0; follower < FOLLOWERS; follower += 1) {
  const socket = connect("/flux/ws");
  const channels = CHANNELS.slice(0, 1 + (follower % CHANNELS.length));
  socket.on("open", () => channels.forEach((channel) => socket.send(JSON.stringify({ type: "subscribe", channel }))));
}

const redis = new Redis(Number(redisPort));
const begun = Date.now();
let number = 0;
setInterval(() => {
  const seconds = (Date.now() - begun) / 1000;
  const rush = seconds % 50 > 35 && seconds % 50 < 41 ? 260 : 0;
  const perSecond = 150 + 80 * Math.sin(seconds / 9) + 40 * Math.sin(seconds / 2.3) + rush;
  for (let event = 0; event < (perSecond * TICK_MS) / 1000; event += 1) {
    number += 1;
    const [name, channel] = [oneOf(NAMES), oneOf(CHANNELS)];
    const text = JSON.stringify({ type: "step_finished", step: number, note: "x".repeat(Math.random() * 900) });
    redis.publish(number % 4 ? `workflow:events:${name}` : `flux:${channel}`, text);
  }
}, TICK_MS);

process.stdin.on("end", () => process.exit()).resume();
