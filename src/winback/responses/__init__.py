"""What people and providers report, stored raw, read once, and acted on: stop or step up."""
