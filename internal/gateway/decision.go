package gateway

import "strongroom.dev/strongroom/internal/core/iam"

// Decision evaluates a question as Authorize does, for an operation that tells of a refusal in words of its own, or that acts on
// how it is refused. It asks policies alone.
func (c *Call) Decision(q Question) iam.Decision { return c.evaluate(&q, nil) }
