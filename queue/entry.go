package queue

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/panelmail/panelmail/transport"
)

// ErrNotFound says that no message has the queue ID.
var ErrNotFound = errors.New("queue: no such message")

// ErrDuplicate says that the queue ID is taken.
var ErrDuplicate = errors.New("queue: the queue ID is taken")

// An Entry is a message in the queue.
type Entry struct {
	ID         string
	State      State // active if any recipient is, else on hold if any is, else waiting
	Size       int64 // octets of content, header included
	Arrived    time.Time
	Priority   Priority
	NotBefore  time.Time     // as in [Message]; zero: none was given, or it was past
	Expires    time.Time     // an attempt after this that fails is the last
	Lifetime   time.Duration // as in [Message]
	Envelope   transport.Envelope
	Origin     transport.Origin
	Recipients []RecipientEntry // in the order of the envelope, final ones included

	message int64
}

// A RecipientEntry is where one recipient of an [Entry] stands.
type RecipientEntry struct {
	Address  string
	State    State
	Attempts int             // made, the one under way included
	Due      time.Time       // of the next attempt
	Reply    transport.Reply // the last one; Text alone is a transport's reason for hold
	Held     string          // why a person or a rule holds it
	GivenUp  string          // why there will be no other attempt, see [Queue.Fail]; "": there may be
	Host     string          // who gave the reply; "" is us
	Lane     string          // what it is filed under
	Parked   time.Time       // nothing is tried in the lane until then; zero: it is not parked
	Reason   string          // why: the reply that made its destination dead; "": it is only throttled

	position int
	first    int64
}

// entryPage is how many messages one query of a list reads.
const entryPage = 200

// Entries lists messages with a recipient that m selects, in the order in which
// they were stored. It reads page by page and holds nothing open while the loop's
// body runs, so the list is not of one instant. The first error ends it.
func (q *Queue) Entries(ctx context.Context, m Match) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for after := int64(0); ; {
			page, err := q.store.list(ctx, m, after, entryPage)
			if err != nil {
				yield(Entry{}, err)
				return
			}
			for _, e := range page {
				if !yield(e, nil) {
					return
				}
				after = e.message
			}
			if len(page) < entryPage {
				return
			}
		}
	}
}

// Stats is the state of the queue in numbers.
type Stats struct {
	Messages int
	Size     int64 // octets of content
	Waiting  int   // recipients, as below
	Deferred int   // those of Waiting that were tried before
	Active   int
	Hold     int
	Oldest   time.Time // arrival of the oldest message; zero: none
	Lanes    []LaneStats
	Sites    []SiteStats
	Flow     []FlowStats // what became of recipients in the last day, most first
}

// LaneStats counts the recipients filed under a label.
type LaneStats struct {
	Label   string
	Waiting int
	Active  int
	Hold    int
	Due     time.Time // the earliest; zero: none waits
	Parked  time.Time // nothing is tried until then; zero: it is not parked
	Reason  string    // why; "": it is only throttled
}

// SiteStats counts the recipients of a site.
type SiteStats struct {
	Site    string
	Waiting int
	Active  int
	Hold    int
}

// FlowStats counts what became of recipients of a site filed under a label. Each
// window is whole minutes and the one under way. After the first 1000 pairs of
// site and label in a minute others share one in which both are "".
type FlowStats struct {
	Site, Label       string
	Minute, Hour, Day Counts
}

// Counts are numbers of recipients, counted once for each attempt.
type Counts struct {
	Delivered int
	Deferred  int // uncertain included
	Bounced   int // failed or expired
}

// Stats counts what is in the queue. It reads an index entry for each message and
// recipient: about a third of a second a million.
func (q *Queue) Stats(ctx context.Context) (Stats, error) {
	return q.store.stats(ctx, micros(time.Now()))
}
