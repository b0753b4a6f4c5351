"""How a query finds its answer: who is asked, who is next, when waiting stops."""
