package queue

import (
	"context"
	"time"
)

// What is stored are instants of the clock on the wall, and that may be wrong and
// be put right.
//
// Set forward, it makes everything due: lanes are limited as ever, and mail whose
// time is over is tried once more before it is given up, unless its destination is
// known to be dead. Set back, it leaves what is due in the future. By a little that
// does no harm; by more, mail would not be tried, expire or be warned of for as
// long, and [Queue.setBack] takes what was stored by the wrong clock for new.

// clockSlack is by how much the clock may be set back without anything being done
// about it.
const clockSlack = time.Hour

// setBack looks for messages that came in the future, and lets their time begin
// now. It finds those whose expiry is further away than that of any that comes
// now; what has a shorter lifetime than others waits at most as long as they live.
func (q *Queue) setBack(ctx context.Context) error {
	now := time.Now()
	later := max(q.o.Load().Lifetime, q.o.Load().BounceLifetime, 0) + clockSlack
	for total := 0; ; {
		n, err := q.store.setBack(ctx, micros(now), micros(now.Add(clockSlack)), micros(now.Add(later)), micros(now.Add(q.o.Load().BackoffMax)))
		if total += n; err != nil || n == 0 {
			if total > 0 {
				q.o.Load().Log.WarnContext(ctx, "the clock was set back: mail from the future begins anew", "messages", total)
				q.Wake()
			}
			return err
		}
	}
}
