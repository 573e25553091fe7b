"""Why a second factor was not accepted. Pure: no Django, no words."""


class Refused(Exception):
    """A second factor was not accepted.

    `code` says why. `wait` is the number of seconds after which it may be tried again, None if it may be at once. `why`
    is for the log: more than users are told, or the code.

    - `wrong`: it was checked.
    - `delayed`, `busy`: not checked, because the account is throttled, or another request was checking one.
    - `source`: not checked, because the source of the request is over its limit.
    - `unreadable`: not checked, because no key in TWOFACTOR_KEYS opens the secret.
    - `password`: a passkey that did not verify the user needs the password beside it.
    - `ended`, `signed_out`: too many wrong ones ended the pending sign-in or the session.
    - `closed`: a parallel request ended or completed the pending sign-in.
    """

    def __init__(self, code: str, wait: int | None = None, *, why: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.wait = wait
        self.why = why or code


class Copied(Refused):
    """The sign count of a passkey is not newer than the last one, so a copy of it may exist."""

    def __init__(self, name: str) -> None:
        super().__init__("wrong", why="sign_count")
        self.name = name  # of the passkey
