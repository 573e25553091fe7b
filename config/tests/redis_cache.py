"""A Redis cache for tests on a server that other processes use too."""

import os
from typing import Any

from config.cache import RedisCache


class SharedRedisCache(RedisCache):
    """`clear` changes the prefix of all keys, because emptying the server would delete the keys of other processes."""

    times_cleared = 0

    def make_key(self, key: Any, version: int | None = None) -> str:
        return f"unit:{os.getpid()}-{self.times_cleared}:{version or self.version}:{key}"

    def clear(self) -> None:
        type(self).times_cleared += 1
