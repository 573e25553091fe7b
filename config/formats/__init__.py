"""How dates are written where Django does not say, or says something else than the language does."""
