from django.apps import AppConfig


class PeopleConfig(AppConfig):
    name = "twofactor.tests.importing_sites.people"
    label = "people"
