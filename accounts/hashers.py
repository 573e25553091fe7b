"""How passwords are hashed."""

from threading import BoundedSemaphore
from typing import Any

from django.contrib.auth.hashers import Argon2PasswordHasher

AT_ONCE = 2


class Argon2idHasher(Argon2PasswordHasher):
    """Argon2id with OWASP's numbers: 19 MiB, two passes, one lane (25 ms); Django's own are 100 MiB and 160 ms.

    A process computes two at a time. More are no faster, push each other out of the processor's cache, and take
    19 MiB each: all threads of a process at once would take 600.
    """

    time_cost = 2
    memory_cost = 19_456
    parallelism = 1

    _turn = BoundedSemaphore(AT_ONCE)

    def encode(self, *args: Any) -> str:
        with self._turn:
            return super().encode(*args)

    def verify(self, *args: Any) -> bool:
        with self._turn:
            return super().verify(*args)
