# Django's own for Arabic stop at the date, and the time of an English date would stand beside it.
DATETIME_FORMAT = "j F، Y، g:i A"
