package queue

import "sync"

// A crew runs deliveries, each on a goroutine that waits for the next one when it is
// through: the stack of a new one would have to grow anew.
type crew struct {
	work chan func()
	all  sync.WaitGroup
}

func newCrew() *crew { return &crew{work: make(chan func())} }

// run has somebody run f. It does not wait.
func (c *crew) run(f func()) {
	select {
	case c.work <- f:
	default:
		c.all.Go(func() {
			f()
			for f := range c.work {
				f()
			}
		})
	}
}

// dismiss waits for all. Nothing may be run any more.
func (c *crew) dismiss() {
	close(c.work)
	c.all.Wait()
}
