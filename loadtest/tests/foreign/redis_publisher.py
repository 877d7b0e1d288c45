"""Publishes each EVENT to CHANNEL at PORT and prints the numbers of receivers: Python's `redis` as the publisher."""

import sys

import redis

port, channel, *events = sys.argv[1:]
# Both versions of RESP, as users configure them.
clients = [redis.Redis(host="127.0.0.1", port=int(port), protocol=protocol) for protocol in (2, 3)]
assert all(client.ping() for client in clients)
print(*(clients[number % 2].publish(channel, event) for number, event in enumerate(events)))
