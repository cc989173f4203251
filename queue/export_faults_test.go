package queue

import (
	"context"
	"errors"
)

// Unreadable makes the content of q's messages unreadable, as a bad disk would.
func Unreadable(q *Queue) { q.store = unreadable{q.store.(*engine)} }

type unreadable struct{ *engine }

func (unreadable) content(context.Context, int64) (stored, error) {
	return stored{}, errors.New("disk I/O error")
}
