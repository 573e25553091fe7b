"""An MFA_ADAPTER that encrypts secrets, as in allauth's documentation."""

from allauth.mfa.adapter import DefaultMFAAdapter


class ReversingAdapter(DefaultMFAAdapter):
    def encrypt(self, text):
        return text[::-1].swapcase()

    def decrypt(self, encrypted_text):
        return encrypted_text[::-1].swapcase()
