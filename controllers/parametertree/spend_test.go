package parametertree

// SpendUrgent has a namespace spend bytes of the budget of trees that are new or changed.
func SpendUrgent(p *Pace, namespace string, bytes int64) {
	p.urgent.Settle(namespace, "somebody", bytes)
}
