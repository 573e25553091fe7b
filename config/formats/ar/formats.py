# Django's Arabic formats lack DATETIME_FORMAT, so Django would use the English one.
DATETIME_FORMAT = "j F، Y، g:i A"
