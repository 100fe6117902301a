"""Unit 08, text to image: `asked` and `known`."""
