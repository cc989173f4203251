package transport

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"
)

// A Definition is a named transport as data: a built-in transport with its
// retry and limit policy (the columns of Postfix's master.cf and
// transport_destination_… parameters that we have).
//
// A transport that shapes its traffic, with any field from Limit to
// FailedCohortLimit, learns by itself how a destination does: what other
// transports found out about it is nothing to it.
type Definition struct {
	Name string // as written in maps

	// Base is the built-in that does the work: smtp, lmtp, maildir, error, discard,
	// retry or hold, or another key of [Dispatcher.Transports].
	Base string

	// Attempts is how many delivery passes are made before a deferral becomes
	// a failure. Zero: until the message expires.
	Attempts int

	// Limit is how many deliveries of this transport go to one destination at
	// once, counted over all sources. Zero: no limit of its own; deliveries
	// count in their lane, against the planner's limit.
	Limit int

	// InitialConcurrency is how many deliveries at once a lane of this transport
	// begins with, before anything is known of its destination. Zero: the
	// planner's.
	InitialConcurrency int

	// Processes is how many deliveries of this transport are under way at once,
	// over all destinations. Zero: no limit.
	Processes int

	// RateDelay is the pause between the end of a delivery to a destination and
	// the start of the next, counted over all sources; Limit is 1 then, whatever
	// it says. Zero: none.
	RateDelay time.Duration

	// Rate is how many deliveries to one destination begin in each RateInterval,
	// counted over all sources, evenly spaced but for what one second's worth
	// allows to begin together. A delivery is one message to the recipients that
	// travel together. Zero: no limit.
	Rate int

	// RateInterval is the time that Rate is for. Zero: a minute.
	RateInterval time.Duration

	// FailedCohortLimit is how many cohorts of deliveries, each as many as the
	// lane has at once, must fail to reach the destination, and none reach it, for
	// it to be taken for dead. Zero: 1, or 10 where a lane begins with one delivery
	// at a time. Negative: it is never taken for dead.
	FailedCohortLimit int

	// RecipientLimit is how many recipients go in one transaction. Zero: 50.
	RecipientLimit int

	// Schedule says when what this transport deferred is tried again. Zero
	// fields: when the queue says.
	Schedule Schedule

	// ConnectTimeout bounds opening a connection, HELOTimeout the greeting and
	// EHLO. Zero: 30 seconds and 5 minutes.
	ConnectTimeout, HELOTimeout time.Duration

	// TLS is the level where no policy of the next hop says more. If empty, the
	// planner's.
	TLS TLSLevel
}

// Check reports every problem of the policy at once. It does not know which
// bases there are.
func (d Definition) Check() error {
	var problems []error
	if d.Name == "" {
		problems = append(problems, errors.New("a transport has no name"))
	}
	for _, n := range []struct {
		name  string
		value int64
	}{
		{"Attempts", int64(d.Attempts)}, {"Limit", int64(d.Limit)}, {"InitialConcurrency", int64(d.InitialConcurrency)},
		{"Processes", int64(d.Processes)}, {"RateDelay", int64(d.RateDelay)}, {"Rate", int64(d.Rate)},
		{"RateInterval", int64(d.RateInterval)}, {"RecipientLimit", int64(d.RecipientLimit)},
		{"ConnectTimeout", int64(d.ConnectTimeout)}, {"HELOTimeout", int64(d.HELOTimeout)},
		{"Schedule.Min", int64(d.Schedule.Min)}, {"Schedule.Max", int64(d.Schedule.Max)},
		{"Schedule.Lifetime", int64(d.Schedule.Lifetime)},
	} {
		if n.value < 0 {
			problems = append(problems, fmt.Errorf("transport %q: %s cannot be negative", d.Name, n.name))
		}
	}
	if d.RateInterval > 0 && d.Rate == 0 {
		problems = append(problems, fmt.Errorf("transport %q: RateInterval is set, but Rate is not", d.Name))
	}
	if s := d.Schedule; s.Max > 0 && s.Max < s.Min {
		problems = append(problems, fmt.Errorf("transport %q: Schedule.Max %v is below Schedule.Min %v", d.Name, s.Max, s.Min))
	}
	if d.TLS != "" {
		if err := (TLSPolicy{Level: d.TLS}).Check(); err != nil {
			problems = append(problems, fmt.Errorf("transport %q: %w", d.Name, err))
		}
	}
	if err := validTransport(d.Name); err != nil {
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

// shapes reports whether the transport has a policy of its own for its traffic.
func (d *Definition) shapes() bool {
	return d.Limit > 0 || d.InitialConcurrency > 0 || d.Processes > 0 || d.RateDelay > 0 || d.Rate > 0 ||
		d.FailedCohortLimit != 0
}

// limit is the transport's own limit for one destination; zero if it has none.
func (d *Definition) limit() int {
	if d.RateDelay > 0 {
		return 1
	}
	return d.Limit
}

// spacing is the time between deliveries at the transport's rate; zero without
// one.
func (d *Definition) spacing() time.Duration {
	if d.Rate <= 0 {
		return 0
	}
	return max(1, cmp.Or(d.RateInterval, time.Minute)/time.Duration(d.Rate))
}

// Definitions is the set of transports a planner knows, by name.
type Definitions map[string]Definition

// A Definer knows transports by name, whatever changes them meanwhile. ok is false
// for a name that it does not know. An error defers the recipient.
type Definer interface {
	Definition(ctx context.Context, name string) (d Definition, ok bool, err error)
}

// Builtin returns the transports every planner knows: smtp, relay, oneshot,
// relaylim, relaylim-apiscp, lmtp, maildir, error, discard, retry and hold.
//
// relaylim is one delivery at a time for each destination, which is what ApisCP's
// documentation says of its own; relaylim-apiscp is one delivery at a time in all,
// which is how that is configured there.
func Builtin() Definitions {
	five := 5 * time.Second
	d := Definitions{}
	for _, def := range []Definition{
		{Name: "smtp", Base: "smtp"},
		{Name: "relay", Base: "smtp"},
		{Name: "oneshot", Base: "smtp", Attempts: 1},
		{Name: "relaylim", Base: "smtp", Limit: 1, ConnectTimeout: five, HELOTimeout: five},
		{Name: "relaylim-apiscp", Base: "smtp", Processes: 1, ConnectTimeout: five, HELOTimeout: five},
		{Name: "lmtp", Base: baseLMTP},
		{Name: "maildir", Base: baseMaildir},
		{Name: "error", Base: "error"},
		{Name: "discard", Base: "discard"},
		{Name: "retry", Base: "retry"},
		{Name: "hold", Base: "hold"},
	} {
		d[def.Name] = def
	}
	return d
}

// builtin is for planners without definitions of their own; nothing changes it.
var builtin = Builtin()
