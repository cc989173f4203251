package queue

// A Priority says which mail goes first where mail waits in one lane. Interactive
// mail goes before normal mail, and that before bulk mail; but every tenth turn is
// the next lower priority's that waits, so that none starves. Among mail of one
// priority the sites take turns.
type Priority int

const (
	Normal      Priority = iota // reports are normal too
	Interactive                 // somebody waits for it: a password reset
	Bulk                        // nobody does: a newsletter
)

// priorities is how many there are.
const priorities = 3

// class is what the store calls a priority: lower goes first.
func (p Priority) class() int {
	switch p {
	case Interactive:
		return 0
	case Bulk:
		return 2
	default:
		return 1
	}
}

// priorityOf is the priority of a class.
func priorityOf(class int) Priority {
	for p := range Priority(priorities) {
		if p.class() == class {
			return p
		}
	}
	return Normal
}

func (p Priority) valid() bool { return p >= Normal && p <= Bulk }
