package restrict

import (
	"context"
	"net/netip"
	"slices"
	"time"
)

// A Stage is one of the six lists.
type Stage int

// The lists, in the order of their evaluation.
const (
	Client Stage = iota
	Helo
	Sender
	Relay
	Recipient
	Data
	stages
)

// String is the name of the list.
func (s Stage) String() string {
	return [...]string{"client", "helo", "sender", "relay", "recipient", "data"}[s]
}

// Lists are the texts that a [Policy] is made of: restrictions separated by blanks and
// commas. An empty list permits.
type Lists struct {
	Client, Helo, Sender, Recipient, Data string

	Relay string

	// Tables are the texts of access tables by their names: lines of a key and an
	// action; see [Parse].
	Tables map[string]string
}

// A Policy is six lists that were read. Any number of goroutines may use it; what it
// decides does not change, but for block lists that are found not to work.
type Policy struct {
	lists [stages][]restriction
}

// NeedsNames reports whether a restriction decides by the name of the client.
func (p *Policy) NeedsNames() bool {
	return slices.ContainsFunc(p.lists[:], func(list []restriction) bool { return slices.ContainsFunc(list, restriction.needsNames) })
}

func (x restriction) needsNames() bool {
	switch x.word {
	case "reject_unknown_client_hostname", "reject_unknown_reverse_client_hostname":
		return true
	case "check_client_access":
		if x.table.domains {
			return true
		}
	}
	return x.table != nil && slices.ContainsFunc(x.table.all(), func(e entry) bool {
		return slices.ContainsFunc(e.list, restriction.needsNames)
	})
}

// A Request is what a client wants, and what is known of it.
type Request struct {
	Client    netip.Addr // not valid: it has none
	HELO      string
	Trusted   bool   // permit_mynetworks permits it
	Login     string // as whom it has logged in; "": as nobody
	Sender    string // reverse-path; "" is the null one
	Recipient string // forward-path; "" at DATA
	Pipelined bool   // it sends what it should not send yet

	// Rewritten says that Recipient may be what SRS made of a reverse-path, which
	// the desk will see. Then %, ! and @ in it are the author's, and no route.
	Rewritten bool
}

// A Verdict is the decision about a request.
type Verdict struct {
	// Reply is the refusal; the zero Reply permits.
	Reply Reply

	// Relay says that an access table in the relay list permitted the request by
	// name.
	Relay bool
}

// budget is how long the look-ups for one verdict may take together, and patience how
// long one of them.
const (
	budget   = 30 * time.Second
	patience = 5 * time.Second
)

// AtRcpt evaluates the five lists before data.
func (p *Policy) AtRcpt(ctx context.Context, s *Session, q Request) Verdict {
	return p.evaluate(ctx, s, q, Client, Recipient)
}

// AtData evaluates the list data.
func (p *Policy) AtData(ctx context.Context, s *Session, q Request) Verdict {
	return p.evaluate(ctx, s, q, Data, Data)
}

func (p *Policy) evaluate(ctx context.Context, s *Session, q Request, first, last Stage) (v Verdict) {
	r := &run{session: s, request: q, until: time.Now().Add(budget)}
	for stage := first; stage <= last; stage++ {
		if r.stage = stage; stage != Recipient {
			r.deferIfReject = Reply{}
		}
		a := r.list(ctx, p.lists[stage])
		switch {
		case a.outcome == refused && a.reply.Code >= 500 && r.deferIfReject.Code != 0:
			return Verdict{Reply: r.deferIfReject}
		case a.outcome == refused:
			return Verdict{Reply: a.reply}
		case a.outcome == permitted && a.table && stage == Relay:
			v.Relay = true
		}
	}
	if r.deferIfPermit.Code != 0 {
		return Verdict{Reply: r.deferIfPermit}
	}
	return v
}

// A run is one evaluation.
type run struct {
	session *Session
	request Request
	stage   Stage
	warn    bool      // refusals are only noted
	until   time.Time // the end of the budget

	deferIfPermit, deferIfReject Reply // zero: none
}

// An outcome is what a restriction says.
type outcome int

const (
	dunno outcome = iota
	permitted
	refused
)

// An answer is an outcome with what belongs to it.
type answer struct {
	outcome
	reply Reply // of refused
	table bool  // of permitted: an access table says so
}

// A restriction is one of a list.
type restriction struct {
	word  string // in the spelling of today
	warn  bool   // warn_if_reject stands before it
	table *table // of check_…_access
	apply func(context.Context, *run) answer
}

// list evaluates restrictions until one decides.
func (r *run) list(ctx context.Context, all []restriction) answer {
	outer := r.warn
	defer func() { r.warn = outer }()
	for _, x := range all {
		r.warn = outer || x.warn
		a := x.apply(ctx, r)
		if a.outcome == refused && r.warn {
			r.note("%s would have refused: %s", x.word, a.reply.Error())
			continue
		}
		if a.outcome != dunno {
			return a
		}
	}
	return answer{}
}
