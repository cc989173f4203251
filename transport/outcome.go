package transport

import (
	"cmp"
	"time"
)

// An Outcome is what became of one recipient in one attempt: a reply, and who
// gave it. The zero Outcome says that the recipient was not tried, at no fault
// of anybody's. An outcome is in exactly one of the classes Delivered,
// Deferred, Failed, Held and NotTried.
type Outcome struct {
	// Reply is the remote's, or ours if Host is empty. Zero: not tried.
	Reply Reply

	// Host is the name of the host that gave the reply, Addr its address and
	// port; empty if nobody remote answered.
	Host, Addr string

	// TLS is how the connection to Host was protected.
	TLS TLSSession

	// Final makes a reply of class 4 a failure: there will be no other try.
	// The status stays what the remote gave (RFC 3464 section 2.3.4 allows
	// 4.x.x in a failed report, as for expired mail).
	Final bool

	// Hold stops the recipient until a person releases it; Reply.Text is the
	// reason.
	Hold bool

	// RetryAfter, with a zero Reply, is when room is expected in a lane that
	// was full. With a reply of class 4 it replaces the queue's own delay.
	// Zero: the queue decides.
	RetryAfter time.Duration

	// Schedule bounds the time until the next attempt, and how long there are
	// any; a zero field leaves that to the queue. The [Dispatcher] sets it for
	// deferrals, from the transport's definition.
	Schedule Schedule

	// Uncertain says that the connection was lost after the final dot: the
	// remote may have taken the message (RFC 5321 section 4.5.3.2.6).
	Uncertain bool

	// Local says that the trouble is ours (no such source address, our disk,
	// our resolver): no policy may turn it into a failure.
	Local bool

	// Destination says that the trouble lies with the destination as a whole,
	// not with this message: connection refused, greeting refused, TLS
	// impossible. Concurrency feedback counts it.
	Destination bool

	// PassedOn says that the next hop supports DSN and was told which reports are
	// wanted: a success is its to report (RFC 3461 section 5.2.2). Otherwise the
	// queue reports a delivery to whoever asked for that, as relayed, or as
	// delivered if Mailbox is set.
	PassedOn bool

	// Mailbox says that this was the final delivery: there is no next hop.
	Mailbox bool

	// Transcript is the end of the dialogue, capped and without secrets.
	Transcript string
}

// A Schedule says when what was deferred is tried again. Zero fields are left to
// whoever asks.
type Schedule struct {
	// Min and Max bound the time between two attempts, which otherwise is as long
	// as the recipient has been tried already.
	Min, Max time.Duration

	// Lifetime is how long after the first attempt an attempt that fails is the
	// last. A message whose own lifetime ends earlier ends then.
	Lifetime time.Duration
}

// Or fills the zero fields of s from another schedule, whose bounds give way where
// they contradict those of s.
func (s Schedule) Or(other Schedule) Schedule {
	if s.Min == 0 {
		s.Min = other.Min
		if s.Max > 0 {
			s.Min = min(s.Min, s.Max)
		}
	}
	if s.Max == 0 && other.Max > 0 {
		s.Max = max(s.Min, other.Max)
	}
	s.Lifetime = cmp.Or(s.Lifetime, other.Lifetime)
	return s
}

// NotTried reports whether no attempt was made.
func (o Outcome) NotTried() bool { return o.Reply.Code == 0 && !o.Hold && !o.Uncertain }

// Held reports whether the recipient is to be held.
func (o Outcome) Held() bool { return o.Hold }

// Delivered reports whether the next hop has taken responsibility.
func (o Outcome) Delivered() bool { return !o.Hold && o.Reply.Code/100 == 2 }

// Failed reports whether there will be no other try.
func (o Outcome) Failed() bool {
	return !o.Hold && (o.Reply.Code/100 == 5 || o.Final && !o.NotTried() && !o.Delivered())
}

// Deferred reports whether a later try may work. Whatever fits no other class
// is deferred: unknown trouble never fails a message.
func (o Outcome) Deferred() bool {
	return !o.NotTried() && !o.Held() && !o.Delivered() && !o.Failed()
}

// A Report is the outcome of an attempt, one [Outcome] per recipient in the
// order of the delivery's envelope.
type Report []Outcome

// At is the outcome for recipient i; a short report reads as not tried.
func (r Report) At(i int) Outcome {
	if i < len(r) {
		return r[i]
	}
	return Outcome{}
}
