"""The tests, in folders named after Twimager's packages."""
