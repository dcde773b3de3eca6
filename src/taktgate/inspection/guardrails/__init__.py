"""When a model is sent back: five typed triggers, each a pure test over parts."""
