from django.apps import AppConfig


class PeopleConfig(AppConfig):
    name = "twofactor.tests.ways_over.people"
    label = "people"
