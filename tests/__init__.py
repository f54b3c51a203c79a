"""The tests of winback; each room's tests stand in a folder of its name."""
