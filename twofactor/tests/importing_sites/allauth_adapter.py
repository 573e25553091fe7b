"""An adapter that keeps secrets from being in clear in the database, as allauth's documentation has it."""

from allauth.mfa.adapter import DefaultMFAAdapter


class ReversingAdapter(DefaultMFAAdapter):
    def encrypt(self, text):
        return text[::-1].swapcase()

    def decrypt(self, encrypted_text):
        return encrypted_text[::-1].swapcase()
