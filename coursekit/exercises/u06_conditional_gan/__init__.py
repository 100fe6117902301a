"""Unit 06, conditional GANs: `asked` and `known`."""
