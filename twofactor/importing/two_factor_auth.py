"""django-two-factor-auth: django-otp's tables, of which it asks for the device named `default` alone."""

from typing import Any

from twofactor.importing import django_otp
from twofactor.importing.person import Person

NAME = "default"


class Source(django_otp.Source):
    def person(self, key: Any, devices: list[Any], codes: list[str], others: set[str]) -> Person:
        asked_for = [device for device in devices if device.name == NAME]
        if devices and not asked_for and not others:
            return Person(key, why_not=f"has no device named {NAME}: that app did not ask for a code")
        return super().person(key, asked_for, codes, others)
