package postmap

import (
	"errors"
	"fmt"
)

// maxProblems is how many problems of a table are told; the rest is counted.
const maxProblems = 100

// Problems gathers what is wrong with a table, so that all of it is told at once,
// but not millions of lines. The zero value is ready.
type Problems struct {
	errs []error
	more int
}

// Add adds a problem.
func (p *Problems) Add(err error) {
	if len(p.errs) == maxProblems {
		p.more++
		return
	}
	p.errs = append(p.errs, err)
}

// Err is the problems as joined errors; nil if there are none.
func (p *Problems) Err() error {
	if p.more > 0 {
		return errors.Join(append(p.errs, fmt.Errorf("and %d problems more", p.more))...)
	}
	return errors.Join(p.errs...)
}
