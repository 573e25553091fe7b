"""Who an email address belongs to.

`User.email` and allauth's `EmailAddress` rows are two records of the same thing. The rule that keeps them equal: an
address belongs to the account that confirmed it.
"""

from allauth.account.models import EmailAddress
from django.db.models import Exists, OuterRef

from accounts.models import User


def owner_of(email: str) -> User | None:
    """Return the account that this address signs in, or None.

    It is the account that confirmed the address. If no account did, it is the one that signed up with it and never
    confirmed any address. An unconfirmed address on an account that has a confirmed one signs in nobody.
    """
    email = email.lower()
    confirmed = EmailAddress.objects.filter(email=email, verified=True).select_related("user__twofactor_authenticator")
    if address := confirmed.first():
        EmailAddress.objects.fill_cache_for_user(address.user, [address])
        return address.user
    any_confirmed = EmailAddress.objects.filter(user=OuterRef("pk"), verified=True)
    return User.objects.filter(~Exists(any_confirmed), email=email).first()
