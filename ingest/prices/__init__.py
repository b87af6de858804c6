"""Prices of models: the dated price catalogue of the package genai-prices as seeds that finance can read and audit.

In: the installed package and the seeds as they are. Out: seeds/model_prices.csv (what a token cost when) and
seeds/model_name_rules.csv (which name means which priced model). A price is never overwritten: see history.py. How
a call is priced from them stands in docs/prices.md, in SQL in macros/pricing/ and, as the check on it, in
reference.py.
"""
