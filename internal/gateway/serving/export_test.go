package serving

import "context"

// RefusedConnections counts them.
var RefusedConnections = refusedConnections

// Renew is what Keep does when the time has come.
func (c *Certificate) Renew(ctx context.Context) error { return c.renew(ctx) }
