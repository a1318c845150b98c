package secret

// What the watches ask is looked at by tests with a real cache.
var (
	EnvelopeWanted = (*Reconciler).envelopeWanted
	OfNamespace    = (*Reconciler).ofNamespace
)
