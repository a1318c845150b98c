package admission

import "sync"

const (
	// MaximumDecoded is for all authenticated requests of a replica that are being carried out, in bytes: their bodies, and what is
	// made of them.
	MaximumDecoded = 192 << 20
	// AccountShare is the part of it, in percent, that one account may have while it is alone. It shrinks as others take theirs, so that no
	// number of accounts takes all: see room.
	AccountShare = 34
)

// Budget bounds the bytes of requests that are being carried out, in all and for each account. Nobody waits for it: who is told to
// try again holds nothing. It is safe for concurrent use.
type Budget struct {
	share   int64
	percent int

	mu   sync.Mutex
	left int64
	of   map[string]int64 // what an account has; only of those that have something
}

// NewBudget makes a Budget of so many bytes, of which an account may have so many percent while no other has any.
func NewBudget(bytes int64, percent int) *Budget {
	return &Budget{share: part(bytes, percent), percent: percent, left: bytes, of: map[string]int64{}}
}

// Spent is what a request has of a Budget. The zero Spent has nothing.
type Spent struct {
	budget  *Budget
	account string
	bytes   int64
}

// Spend takes so many bytes, or says that the budget, or the account's share of it, does not have them now. A request that is larger
// than the share counts as much as the share: it is carried out, but alone.
func (b *Budget) Spend(account string, bytes int64) (Spent, bool) {
	bytes = min(bytes, b.share)
	b.mu.Lock()
	defer b.mu.Unlock()
	has := b.of[account]
	if !room(b.percent, has, b.left, bytes) {
		return Spent{}, false
	}
	b.left -= bytes
	b.of[account] = has + bytes
	return Spent{b, account, bytes}, true
}

// Return gives the bytes back. A second call does nothing.
func (s *Spent) Return() {
	b := s.budget
	if b == nil {
		return
	}
	s.budget = nil
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left += s.bytes
	if b.of[s.account] -= s.bytes; b.of[s.account] == 0 {
		delete(b.of, s.account)
	}
}
