from django import template

from twofactor.useragent import describe, is_handheld

register = template.Library()


@register.filter
def browser(header: str) -> str:
    """Describe a User-Agent header in words. Return an unknown header unchanged."""
    return describe(header) or header


@register.filter
def device_icon(header: str) -> str:
    """Return the template of the icon for this User-Agent header."""
    return f"twofactor/icons/{'phone' if is_handheld(header) else 'computer'}.html"
