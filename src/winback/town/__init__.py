"""A town of simulated customers, for the demo and the simulation tests.

What they buy by themselves is real (CDNOW, 1997 to 1998); what they do because of a message is
drawn from a fixed seed.
"""
