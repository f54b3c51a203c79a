"""The campaign file: its language, its checks, and the versions that enrollments keep."""
