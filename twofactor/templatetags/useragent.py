from django import template

from twofactor.useragent import describe

register = template.Library()


@register.filter
def browser(header: str) -> str:
    """Describe a User-Agent header in words. Return an unknown header unchanged."""
    return describe(header) or header
