"""Files of format 1, as version 1 wrote them."""
