"""Unit 02, input optimisation: `asked` and `known`."""
