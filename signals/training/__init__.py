"""Headlines written and labelled for chip equities, one row for each (headline, issuer); no code."""
