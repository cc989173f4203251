package queue

import (
	"cmp"
	"context"
	"math/rand/v2"
	"time"

	"github.com/panelmail/panelmail/transport"
)

// untriedPause is how long a lane rests when it handed something back without
// saying when there will be room.
const untriedPause = time.Second

// A judge decides what becomes of the recipients of one attempt. It is a pure
// function of its fields and the report.
type judge struct {
	now      int64
	clock    clock
	once     bool // one attempt is enough to give up
	options  *Options
	chance   float64 // in [0, 1)
	stopping bool    // Run is ending, or it was not begun: what was not tried is no sign of a full lane
}

func (q *Queue) judge(now int64, a *attempt) judge {
	return judge{now: now, clock: a.clock, once: q.o.Load().lifetime(a.envelope.ReversePath, a.lifetime) < 0,
		options: q.o.Load(), chance: rand.Float64()}
}

// settle rules on each recipient of a.
func (j judge) settle(a *attempt, report transport.Report) *settlement {
	s := &settlement{attempt: a, now: j.now, rulings: make([]ruling, len(a.rows))}
	for i := range a.rows {
		o := report.At(i)
		r := &s.rulings[i]
		*r = j.rule(&a.rows[i], o)
		if r.untried && !j.stopping {
			s.parked = max(s.parked, j.now+r.outcome.RetryAfter.Microseconds())
		}
		r.event = a.event(i, j.now, r)
	}
	return s
}

// due is when the first of the recipients that wait is due.
func (s *settlement) due() int64 {
	at := never
	for i := range s.rulings {
		if r := &s.rulings[i]; r.state == Waiting {
			at = min(at, r.due)
		}
	}
	return at
}

// settle records outcomes, and tells Run of the reports about them.
func (q *Queue) settle(ctx context.Context, s *settlement) error {
	err := q.store.settle(ctx, s)
	if err == nil && (len(s.reports) > 0 || s.warning != nil) {
		q.stored(append(s.reports, s.warning)...)
	}
	return err
}

// rule decides about one recipient. What a person has given up has no attempt
// left.
func (j judge) rule(w *row, o transport.Outcome) ruling {
	r := j.classify(w, o)
	if w.last == "" || r.state.Final() {
		return r
	}
	if r.untried || r.state == OnHold {
		r.outcome = transport.Outcome{Reply: w.lastReply(), Host: w.host, Final: true}
	}
	return ruling{state: Dead, outcome: r.outcome, event: Event{Kind: Failed}}
}

// classify takes an outcome for what it is. Unknown trouble defers: nothing fails
// but by a refusal or by age.
func (j judge) classify(w *row, o transport.Outcome) ruling {
	if o.Uncertain && j.options.HoldUncertain {
		o = transport.Outcome{Hold: true, Host: o.Host, Addr: o.Addr, Transcript: o.Transcript,
			Reply: transport.Reply{Text: "the outcome is uncertain: " + cmp.Or(o.Reply.Text, lost)}}
	}
	switch {
	case o.Held():
		return ruling{state: OnHold, due: j.now, outcome: o, event: Event{Kind: Held}}
	case o.Delivered():
		return ruling{state: Done, outcome: o, event: Event{Kind: Delivered}}
	case o.Failed():
		return ruling{state: Dead, outcome: o, event: Event{Kind: Failed}}
	case o.NotTried() && !o.Uncertain:
		return j.untried(w, o)
	}
	if o.Reply.Code == 0 {
		o.Reply = transport.Replyf(451, "4.4.2", lost)
	}
	schedule := j.options.schedule(&o)
	end := j.clock.expires
	if schedule.Lifetime > 0 {
		end = min(end, w.first+schedule.Lifetime.Microseconds())
	}
	if j.once || j.now >= end {
		return ruling{state: Dead, outcome: o, event: Event{Kind: Expired}}
	}
	kind := Deferred
	if o.Uncertain {
		kind = Uncertain
	}
	return ruling{state: Waiting, due: j.next(w, o, schedule, end), until: end, outcome: o, event: Event{Kind: kind}}
}

// lost is what there is to say of an uncertain outcome without a reply.
const lost = "connection lost; the message may have been taken"

// untried hands the recipient back as it was, unless its time is over: a lane
// that is always full must not keep mail for ever.
func (j judge) untried(w *row, o transport.Outcome) ruling {
	if o.RetryAfter <= 0 {
		o.RetryAfter = untriedPause
	}
	if j.now >= j.clock.expires && !j.stopping {
		o.Reply = w.lastReply()
		return ruling{state: Dead, outcome: o, event: Event{Kind: Expired}}
	}
	return ruling{state: Waiting, untried: true, due: w.due, outcome: o}
}

// next is when a deferred recipient is due again. No wait goes past the end by
// more than the shortest backoff: the last attempt is made close to it.
func (j judge) next(w *row, o transport.Outcome, s transport.Schedule, end int64) int64 {
	wait := o.RetryAfter
	if wait <= 0 {
		wait = jitter(backoff{s.Min, s.Max}.delay(w.first, j.now), j.chance)
	}
	return min(j.now+wait.Microseconds(), max(end, j.now+j.options.BackoffMin.Microseconds()))
}

// lastReply is the reply that a recipient is failed with when no attempt gave a
// new one.
func (w *row) lastReply() transport.Reply {
	switch {
	case w.code != 0:
		return transport.Reply{Code: w.code, Enhanced: parseStatus(w.status), Text: w.text}
	case w.last != "":
		return transport.Replyf(450, "4.7.0", "%s", w.last)
	case w.parked != "":
		return transport.Replyf(451, "4.4.7", "the message expired: %s", w.parked)
	}
	return transport.Replyf(451, "4.4.7", "the message expired before there was room to deliver it")
}

// parseStatus reads an enhanced status code; what is none is zero.
func parseStatus(s string) (e [3]int) {
	part := 0
	for _, c := range []byte(s) {
		switch {
		case c == '.' && part < 2:
			part++
		case '0' <= c && c <= '9' && e[part] < 1000:
			e[part] = e[part]*10 + int(c-'0')
		default:
			return [3]int{}
		}
	}
	return e
}

// event completes what a ruling tells.
func (a *attempt) event(i int, now int64, r *ruling) Event {
	e := r.event
	if e.Kind == "" {
		return e
	}
	e.Time = instant(now)
	e.ID = a.id
	e.Site = a.origin.Site
	e.ReversePath = a.envelope.ReversePath
	e.Recipient, e.ORcpt = a.envelope.Recipients[i].Address, a.envelope.Recipients[i].ORcpt
	e.Label = a.label
	e.Outcome = r.outcome
	e.Attempt = a.rows[i].attempts
	e.Delay = time.Duration(now-a.arrived) * time.Microsecond
	e.Size = a.size
	if r.state == Waiting {
		e.Due = instant(r.due)
	}
	return e
}
