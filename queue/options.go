package queue

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/panelmail/panelmail/transport"
)

// Options are the settings of a queue. All may be left zero.
type Options struct {
	// Hostname names this host in reports. If "", the system's name.
	Hostname string

	// Label says what a recipient is filed under: mail with one label shares a
	// lane, that is its concurrency and its pauses. It is called outside of
	// any transaction. If nil, or where it panics, the recipient's domain
	// after a slash.
	Label func(ctx context.Context, q transport.Query) string

	// Lifetime is how long a message is tried; an attempt that fails later is
	// the last. If zero, 5 days; if negative, one attempt, for which room is
	// waited for up to 5 days.
	Lifetime time.Duration

	// BounceLifetime is Lifetime for messages with the null reverse-path; it is
	// never longer than Lifetime. If zero, 5 days; if negative, one attempt.
	BounceLifetime time.Duration

	// BackoffMin and BackoffMax bound the time between two attempts, which
	// otherwise is as long as a recipient has been tried already; a tenth
	// either way is left to chance. If zero, 5 minutes and 4 hours.
	BackoffMin, BackoffMax time.Duration

	// Schedules replace BackoffMin and BackoffMax, and shorten the lifetime, for
	// mail whose last deferral had one of these reasons. A zero field is that of
	// [DefaultSchedules]; what a transport's own schedule says goes before all
	// of them.
	Schedules map[Deferral]transport.Schedule

	// HoldUncertain puts a recipient on hold when the connection was lost after
	// the final dot, so that a person decides between losing the message and
	// sending it twice. If false, it is tried again, as an attempt is that a
	// crash of this host broke off in any case.
	HoldUncertain bool

	// DelayWarning is the age at which the sender of a message that is still
	// being tried is told, once. If zero, 4 hours; if negative, never.
	DelayWarning time.Duration

	// Workers is how many deliveries go on at once. If zero, 200.
	Workers int

	// Concurrency is how many deliveries go on at once in one lane, if the
	// transport does not say less. If zero, 20.
	Concurrency int

	// RecipientLimit is how many recipients of one message go in one delivery.
	// If zero, 50.
	RecipientLimit int

	// Grace is how long deliveries may take after the context of Run is done,
	// before their own is. If zero, 3 seconds.
	Grace time.Duration

	// LockWait is how long a writer waits for somebody else's transaction if
	// its context has no earlier deadline. If zero, 5 seconds.
	LockWait time.Duration

	// LogSize is how many octets the write-ahead log of the file may have before
	// everybody waits for its end to be copied into the database. Another process, and
	// a reader of the caller's own, can make it grow beyond that. If zero, 32 MiB.
	LogSize int64

	// CommitDelay is how long a commit waits for others to share it, after one that
	// eight shared or more, until as many are there again. If zero, 0.7
	// milliseconds; if negative, not at all, as it should be in virtual time.
	CommitDelay time.Duration

	// Poll is how often Run looks whether another process, or EnqueueTx, has
	// changed the file. Because [Queue.Wake] may not be called, it looks every
	// 20 milliseconds for 5 seconds after EnqueueTx, and then for a minute every
	// second at least. If zero, one second; if negative, it looks only then:
	// what is committed later needs Wake.
	Poll time.Duration

	// MinFree is how many octets must stay free on the disk for a message to be
	// accepted; below, Enqueue returns ErrFull. If zero, 64 MiB; if negative,
	// it is not looked at.
	MinFree int64

	// Retention is how long the history is kept: see [Queue.Events]. While the
	// queue is run older events are deleted, within about ten minutes and also
	// if their message is still in the queue. If zero, 30 days; if negative, all
	// is kept for ever. Nothing else depends on it.
	Retention time.Duration

	// Sign makes fields, such as signatures, that go on top of a report of the
	// queue's own (RFC 3464), and names what it signs with, as [Message.Signed]
	// does. The report is complete, header and all. It is called outside of any
	// transaction, on a goroutine of Run. If nil, or where it fails or panics,
	// which is logged, reports are sent as they are.
	Sign func(ctx context.Context, report []byte) (fields []byte, signed []string, err error)

	// Observe is told what was committed, in the order of commits, on a
	// goroutine of its own. Events wait in memory while it runs. A panic in it
	// is logged. If nil, nobody is told.
	Observe func([]Event)

	// Log takes what goes wrong in Run. If nil, nothing is logged.
	Log *slog.Logger
}

const day = 24 * time.Hour

const defaultLifetime = 5 * day

// lease is for how long an attempt may go on without being renewed; Run renews
// leases at half of it.
const leaseTime = 10 * time.Minute

func (o Options) withDefaults() Options {
	if o.Hostname == "" {
		o.Hostname = systemName()
	}
	orElse(&o.Lifetime, defaultLifetime)
	orElse(&o.BounceLifetime, defaultLifetime)
	o.BounceLifetime = min(o.BounceLifetime, o.Lifetime)
	orElse(&o.BackoffMin, 5*time.Minute)
	orElse(&o.BackoffMax, 4*time.Hour)
	o.BackoffMax = max(o.BackoffMax, o.BackoffMin)
	o.Schedules = fillSchedules(o.Schedules, o.BackoffMin, o.BackoffMax)
	orElse(&o.DelayWarning, 4*time.Hour)
	orElse(&o.Workers, 200)
	orElse(&o.Concurrency, 20)
	orElse(&o.RecipientLimit, 50)
	orElse(&o.Grace, 3*time.Second)
	orElse(&o.LockWait, 5*time.Second)
	orElse(&o.LogSize, 32<<20)
	orElse(&o.CommitDelay, 700*time.Microsecond)
	orElse(&o.Poll, time.Second)
	orElse(&o.Retention, 30*day)
	orElse(&o.MinFree, 64<<20)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.guarded()
	if o.Label == nil {
		o.Label = domainLabel
	}
	return o
}

// orElse replaces the zero value of a setting.
func orElse[T comparable](setting *T, value T) {
	var zero T
	if *setting == zero {
		*setting = value
	}
}

func systemName() string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return "localhost"
	}
	return name
}

func domainLabel(_ context.Context, q transport.Query) string {
	at := strings.LastIndexByte(q.Recipient, '@')
	return "/" + strings.ToLower(q.Recipient[at+1:])
}
