"""Tasks of asyncio that wait for the clock of WASI 0.3, and end in another order than they began."""

import asyncio

import wit_world
from wit_world.imports import monotonic_clock

NAP = 20_000_000


class WitWorld(wit_world.WitWorld):
    async def naps(self, names):
        ended = []

        async def nap(name, at):
            await monotonic_clock.wait_for(NAP * (len(names) - at))
            ended.append(name)

        await asyncio.gather(*(nap(name, at) for at, name in enumerate(names)))
        return ended
