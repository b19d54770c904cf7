"""What do both sides of a case say? Settings, constants and partners, read the same way in every format."""
