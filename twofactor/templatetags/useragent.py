from django import template

from twofactor.useragent import describe

register = template.Library()


@register.filter
def browser(header: str) -> str:
    """A User-Agent header in two words, or the header itself where it says nothing known."""
    return describe(header) or header
