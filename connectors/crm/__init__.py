"""CRM adapters, one folder per vendor."""
