package serving

import "context"

// RefusedConnections counts them.
var RefusedConnections = refusedConnections

// Renew is what Keep does when the time has come.
func (c *Certificate) Renew(ctx context.Context) error { return c.renew(ctx) }

// Due is what Keep asks before it renews.
func (c *Certificate) Due(ctx context.Context) bool { return c.due(ctx) }

// AuthorityInForce says whether the authority that is named issued.
var AuthorityInForce = authorityInForce
