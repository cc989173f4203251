package queue

import (
	"iter"
	"slices"
)

const (
	// classTurns is how many turns a class has while a lower one waits, before
	// that has one.
	classTurns = 9

	// costSize is how many octets of content cost a site as much as a delivery.
	costSize = 256 << 10
)

// A ready holds what was claimed in a lane and is not begun, and says whose turn
// it is: the classes as [Priority] says; in a class the sites take turns. Its
// zero value is empty.
type ready struct {
	classes [priorities]ring
	n       int
}

func (r *ready) add(a *attempt) {
	r.classes[a.class].add(a)
	r.n++
}

// putBack returns an attempt that was taken: it is the next of its class.
func (r *ready) putBack(a *attempt) {
	r.classes[a.class].putBack(a)
	r.n++
}

// take removes the attempt whose turn it is. There must be one.
func (r *ready) take() *attempt {
	r.n--
	var next *ring
	left := r.n + 1
	for class := range r.classes {
		c := &r.classes[class]
		if c.n == 0 {
			continue
		}
		next = c
		if left -= c.n; left == 0 {
			break // nobody waits below it
		}
		if c.served < classTurns {
			c.served++
			break
		}
		c.served = 0
	}
	return next.take()
}

// has reports whether something of a flow is here.
func (r *ready) has(f flow) bool {
	t := r.classes[f.class].sites[f.site]
	return t != nil && len(t.attempts) > 0
}

// upTo counts what goes no later than a class does.
func (r *ready) upTo(class int) (n int) {
	for c := range class + 1 {
		n += r.classes[c].n
	}
	return n
}

// waiting lists the sites with something here, some more than once.
func (r *ready) waiting() iter.Seq[string] {
	return func(yield func(string) bool) {
		for class := range r.classes {
			for _, t := range r.classes[class].turns {
				if len(t.attempts) > 0 && !yield(t.site) {
					return
				}
			}
		}
	}
}

// remove takes out what f says.
func (r *ready) remove(f func(*attempt) bool) (out []*attempt) {
	for class := range r.classes {
		c := &r.classes[class]
		for _, t := range c.turns {
			t.attempts = slices.DeleteFunc(t.attempts, func(a *attempt) bool {
				gone := f(a)
				if gone {
					out = append(out, a)
					c.n--
				}
				return gone
			})
		}
	}
	r.n -= len(out)
	return out
}

// A ring is the sites of a class in turn. Where one's turn was a large message, it
// lets turns pass until it has paid: deficit round robin that pays afterwards, so
// that a site that comes anew waits for no more than one delivery of each other.
type ring struct {
	turns  []*turn
	at     int // whose turn is next
	n      int // attempts
	sites  map[string]*turn
	served int // turns of this class since a lower one that waits had one
}

// A turn is a site's place in a ring.
type turn struct {
	site     string
	owes     int // turns to let pass
	attempts []*attempt
}

func (c *ring) add(a *attempt) {
	t := c.sites[a.origin.Site]
	if t == nil {
		t = &turn{site: a.origin.Site}
		if c.sites == nil {
			c.sites = map[string]*turn{}
		}
		c.sites[t.site] = t
		c.turns = slices.Insert(c.turns, c.at, t)
		c.at++ // all others come first
	}
	t.attempts = append(t.attempts, a)
	c.n++
}

// putBack puts an attempt before what was claimed after it, and makes it its site's
// turn.
func (c *ring) putBack(a *attempt) {
	if c.sites[a.origin.Site] == nil {
		c.add(a)
		c.at--
		return
	}
	t := c.sites[a.origin.Site]
	before := slices.IndexFunc(t.attempts, func(b *attempt) bool { return b.token > a.token })
	if before < 0 {
		before = len(t.attempts)
	}
	t.attempts = slices.Insert(t.attempts, before, a)
	t.owes = 0
	c.at = slices.Index(c.turns, t)
	c.n++
}

func (c *ring) take() *attempt {
	c.n--
	for passed := 0; ; {
		if passed == len(c.turns) {
			c.forgive()
			passed = 0
		}
		if c.at >= len(c.turns) {
			c.at = 0
		}
		t := c.turns[c.at]
		switch {
		case t.owes > 0:
			t.owes--
			c.at++
			passed++
		case len(t.attempts) == 0:
			c.drop(t)
		default:
			a := t.attempts[0]
			t.attempts = t.attempts[1:]
			t.owes = cost(a.size) - 1
			if t.owes == 0 && len(t.attempts) == 0 {
				c.drop(t)
			} else {
				c.at++
			}
			return a
		}
	}
}

// drop removes the site whose turn it is.
func (c *ring) drop(t *turn) {
	c.turns = slices.Delete(c.turns, c.at, c.at+1)
	delete(c.sites, t.site)
}

// forgive lets as many turns pass as all owe who have something to send.
func (c *ring) forgive() {
	least := -1
	for _, t := range c.turns {
		if len(t.attempts) > 0 && (least < 0 || t.owes < least) {
			least = t.owes
		}
	}
	for _, t := range c.turns {
		t.owes = max(t.owes-least, 0)
	}
}

// cost is how many turns a delivery takes.
func cost(size int64) int { return 1 + int(size/costSize) }
