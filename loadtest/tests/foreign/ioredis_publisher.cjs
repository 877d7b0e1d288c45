// Publishes each EVENT to CHANNEL at PORT and prints the numbers of receivers: Node's `ioredis` as the publisher.
const Redis = require('ioredis');

const [port, channel, ...events] = process.argv.slice(2);

async function main() {
  const redis = new Redis({ host: '127.0.0.1', port: Number(port), maxRetriesPerRequest: 1 });
  const receivers = [];
  for (const event of events) receivers.push(await redis.publish(channel, event));
  console.log(receivers.join(' '));
  await redis.quit();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
