"""Unit 05, DCGAN and larger generators: `asked` and `known`."""
