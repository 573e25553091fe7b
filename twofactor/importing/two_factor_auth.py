"""Reads django-two-factor-auth: the tables of django-otp, of which it uses the device named `default` only."""

from twofactor.importing import django_otp
from twofactor.importing.users import ImportedUser, Key

NAME = "default"


class Source(django_otp.Source):
    def build(self, key: Key, devices: list[django_otp.Device], codes: list[str], others: set[str]) -> ImportedUser:
        default = [device for device in devices if device.name == NAME]
        if devices and not default and not others:
            return ImportedUser(key, problem=f"has no device named {NAME}: the other app did not ask for a code")
        return super().build(key, default, codes, others)
