package transport

import (
	"cmp"
	"context"
	"strings"
)

// An answer is a transport that needs no network: it gives every recipient the
// same reply at once. Its next hop is a text.
type answer struct {
	class int    // of the replies and of a status in the text
	code  int    // of the reply
	text  string // if the route gives none
	hold  bool
}

// answers are these transports by their base. Nothing changes the map.
var answers = map[string]answer{
	"error":   {class: 5, code: 550, text: undeliverable},
	"retry":   {class: 4, code: 450, text: undeliverable},
	"discard": {class: 2, code: 250, text: "discarded"},
	"hold":    {text: "held by the transport map", hold: true},
}

// Deliver implements [Transport]. The text of the reply is the next hop, whose
// leading enhanced status counts if it is of the right class.
func (a answer) Deliver(_ context.Context, d *Delivery) Report {
	r := Reply{Code: a.code, Enhanced: [3]int{a.class}, Text: d.Plan.Nexthop}
	if status, rest, ok := cutStatus(r.Text); ok && !a.hold {
		r.Text = rest
		if status[0] == a.class {
			r.Enhanced = status
		}
	}
	r.Text = cmp.Or(r.Text, a.text)
	if a.hold {
		r = Reply{Text: r.Text} // a reason, and nobody's reply
	}
	return d.All(Outcome{Reply: r, Hold: a.hold, Mailbox: a.class == 2})
}

// Refusal is what a server says at RCPT about an address whose mail would go by a
// route that returns or defers it: 550 for error, 450 for retry, with the enhanced
// status of the route's text, or X.1.1 where that has none. ok is false for any
// other route. The transport may be one of the planner's own with such a base.
func (p *Planner) Refusal(ctx context.Context, r Route) (reply Reply, ok bool) {
	d, known, err := p.definition(ctx, r.Transport)
	a := answers[d.Base]
	if err != nil || !known || a.class != 5 && a.class != 4 {
		return Reply{}, false
	}
	reply = Reply{Code: a.code, Enhanced: [3]int{a.class, 1, 1}, Text: cmp.Or(r.Nexthop, a.text)}
	if status, rest, ok := cutStatus(reply.Text); ok && status[0] == a.class {
		reply.Enhanced, reply.Text = status, cmp.Or(rest, a.text)
	}
	return reply, true
}

// cutStatus cuts an enhanced status code, "D.S.N" and blanks or the end, from
// the front of a text. D is 2, 4 or 5, S and N have one to three digits
// (RFC 3463 section 2). Anything else is plain text.
func cutStatus(text string) (status [3]int, rest string, ok bool) {
	word, rest, _ := strings.Cut(text, " ")
	parts := strings.Split(word, ".")
	if len(parts) != 3 || len(parts[0]) != 1 || !strings.Contains("245", parts[0]) {
		return status, text, false
	}
	for i, p := range parts {
		if len(p) < 1 || len(p) > 3 {
			return status, text, false
		}
		for _, c := range []byte(p) {
			if c < '0' || c > '9' {
				return [3]int{}, text, false
			}
			status[i] = status[i]*10 + int(c-'0')
		}
	}
	return status, strings.TrimSpace(rest), true
}
