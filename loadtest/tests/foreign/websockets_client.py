"""Prints each event of URL as a line, COUNT of them, then closes: Python's `websockets` as the client."""

import asyncio
import sys

import websockets


async def main(url: str, count: int) -> None:
    async with websockets.connect(url, open_timeout=30) as socket:
        for _ in range(count):
            event = await asyncio.wait_for(socket.recv(), timeout=30)
            assert isinstance(event, str), f"not a text frame: {event!r}"
            print(event, flush=True)


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
