"""Keys of the cache. Those of allauth's limits contain IP addresses."""

from django.utils.crypto import salted_hmac


def hashed_key(key: str, key_prefix: str, version: int) -> str:
    """Return a keyed hash. DatabaseCache keeps expired rows until the table is full, and so no clear addresses."""
    return salted_hmac("config.cache", f"{key_prefix}:{version}:{key}", algorithm="sha256").hexdigest()
