package iam

import "sync"

// accountSimulations are the simulations of one account that are carried out at once.
const accountSimulations = 2

// simulating counts the simulations that are being carried out. It is safe for concurrent use.
type simulating struct {
	mu sync.Mutex
	of map[string]int // by the ARN of who asks, and by the id of the account
}

// begin tells whether one more may be carried out. If so, end is to be called.
func (s *simulating) begin(account, who string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of[who] > 0 || s.of[account] >= accountSimulations {
		return false
	}
	s.of[who]++
	s.of[account]++
	return true
}

func (s *simulating) end(account, who string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, of := range []string{account, who} {
		if s.of[of]--; s.of[of] == 0 {
			delete(s.of, of)
		}
	}
}
