"""`threadlink demo`: a scenario played on the real product with simulated providers.

stage.py runs the product, world.py is what scenario/run.py plays in.
"""
