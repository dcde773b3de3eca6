"""edgeHub: sessions, routes, store and forward, twins and methods of one device."""
