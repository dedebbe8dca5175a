"""Scenarios: a team, its mail and its CRM in one YAML file, played through the product and checked.

read.py reads the file into model.py, mail.py builds the messages, run.py plays the events in a World, check.py says
which expectations were not met. Nothing here knows the product: the World is given by demo.py or a test.
"""
