package queue

import "fmt"

// A State is where a recipient stands. The numbers are stored.
type State int

// The states of a recipient. Delivered and failed ones are final; a message is
// removed when all of its recipients are.
const (
	Waiting State = iota // due at some instant
	Active               // leased: being tried
	OnHold               // stopped until a person releases it
	Done                 // delivered
	Dead                 // failed or expired
)

var stateNames = [...]string{"waiting", "active", "hold", "delivered", "failed"}

// String is the state's name, as in the command line and in JSON.
func (s State) String() string {
	if s < 0 || int(s) >= len(stateNames) {
		return fmt.Sprintf("state(%d)", int(s))
	}
	return stateNames[s]
}

// Final reports whether the recipient will never be tried again.
func (s State) Final() bool { return s == Done || s == Dead }

// MarshalText writes the state's name.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// ParseState reads a state's name.
func ParseState(name string) (State, error) {
	for s, n := range stateNames {
		if n == name {
			return State(s), nil
		}
	}
	return 0, fmt.Errorf("no state %q: waiting, active or hold", name)
}
