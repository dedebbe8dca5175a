"""Everything that talks to a vendor's API; one folder per vendor."""
