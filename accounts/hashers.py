"""The password hasher."""

from threading import BoundedSemaphore
from typing import Any

from django.contrib.auth.hashers import Argon2PasswordHasher

MAX_CONCURRENT = 2


class Argon2idHasher(Argon2PasswordHasher):
    """Argon2id with OWASP's parameters: 19 MiB, two passes, one lane (25 ms). Django's defaults: 100 MiB, 160 ms.

    Each process computes at most two hashes at a time. More are not faster, and a process would peak at 283 MB instead
    of 127 (docs/performance.md).
    """

    time_cost = 2
    memory_cost = 19_456
    parallelism = 1

    _slots = BoundedSemaphore(MAX_CONCURRENT)

    def encode(self, *args: Any) -> str:
        with self._slots:
            return super().encode(*args)

    def verify(self, *args: Any) -> bool:
        with self._slots:
            return super().verify(*args)
