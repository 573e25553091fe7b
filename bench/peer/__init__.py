"""A minimal site with django-allauth's own second factor, on the same database: what ours is measured against."""
