"""Unit 01, recurrent networks: `asked` and `known`."""
