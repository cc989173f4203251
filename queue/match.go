package queue

import "time"

// A Match selects recipients: those to which everything that is set applies.
// The zero Match selects nothing, so that a forgotten filter does no harm; All
// selects everything.
type Match struct {
	All       bool
	IDs       []string      // queue IDs
	Site      string        // of the origin
	Sender    string        // the envelope's reverse-path; "<>" is the null reverse-path
	Recipient string        // address
	Domain    string        // of the recipient's address
	State     *State        // see [InState]
	OlderThan time.Duration // since arrival
	Untried   bool          // no attempt was made yet
	Tried     bool          // an attempt was made

	// DryRun has a method that changes the queue change nothing, and return how
	// many messages it would have touched.
	DryRun bool

	// Progress is told by a method that changes the queue how many messages it
	// has touched so far, after each of its steps and on its caller's goroutine.
	// No transaction is open then, but the next step waits. If nil, nobody is.
	Progress func(messages int)
}

// InState is a value for [Match.State].
func InState(s State) *State { return &s }

// empty reports whether the match says nothing at all.
func (m Match) empty() bool {
	return !m.All && len(m.IDs) == 0 && m.Site == "" && m.Sender == "" && m.Recipient == "" &&
		m.Domain == "" && m.State == nil && m.OlderThan == 0 && !m.Untried && !m.Tried
}
