"""Unit 04, generative adversarial networks: `asked` and `known`."""
