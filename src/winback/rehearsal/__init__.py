"""The days to come, played through on a private copy: the very stages, and nobody is reached."""
