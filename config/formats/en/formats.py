# The formats of Intl, which the script uses: "Nov 24, 2026, 5:00 PM". Django has "Nov. 24, 2026, 5 p.m.".
DATE_FORMAT = "M j, Y"
DATETIME_FORMAT = "M j, Y, g:i A"
TIME_FORMAT = "g:i A"
