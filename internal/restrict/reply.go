package restrict

import (
	"context"
	"fmt"
	"strings"
)

// A Reply refuses a command (RFC 5321 section 4.2). The zero Reply refuses nothing.
type Reply struct {
	Code   int    // 400 to 599
	Status string // enhanced code (RFC 3463), of the class of Code
	Text   string
}

// Error is the reply as the client sees it.
func (r Reply) Error() string { return fmt.Sprintf("%d %s %s", r.Code, r.Status, r.Text) }

// An aspect is what of a request displeases.
type aspect int

const (
	theClient aspect = iota
	theHELO
	theSender
	theRecipient
	theData
)

// aspect is what a list is about.
func (s Stage) aspect() aspect {
	return [...]aspect{theClient, theHELO, theSender, theRecipient, theRecipient, theData}[s]
}

// class is the word for an aspect in replies.
func (a aspect) class() string {
	return [...]string{"Client host", "Helo command", "Sender address", "Recipient address", "Data command"}[a]
}

// subject is what of the request an aspect is.
func (r *run) subject(ctx context.Context, a aspect) string {
	switch a {
	case theClient:
		name, _ := r.clientName(ctx)
		return name + "[" + r.request.Client.String() + "]"
	case theHELO:
		return r.request.HELO
	case theSender:
		return r.request.Sender
	case theRecipient:
		return r.request.Recipient
	}
	return "DATA"
}

// rejected is the usual refusal: code, status, who, and the text.
func (r *run) rejected(ctx context.Context, a aspect, code int, status, text string) Reply {
	return Reply{code, status, fmt.Sprintf("<%s>: %s rejected: %s", r.subject(ctx, a), a.class(), text)}
}

// refuse is the answer of a restriction that does not look at where it stands.
func (r *run) refuse(ctx context.Context, a aspect, code int, status, text string) answer {
	return answer{outcome: refused, reply: r.rejected(ctx, a, code, status, text)}
}

// deferLater remembers a reply for the case that all lists permit. The first counts.
func (r *run) deferLater(reply Reply) answer {
	if r.warn {
		return answer{outcome: refused, reply: reply} // to be noted by list
	}
	if r.deferIfPermit.Code == 0 {
		r.deferIfPermit = reply
	}
	return answer{}
}

// deferInstead remembers a reply to put in the place of a rejection. The first counts.
func (r *run) deferInstead(reply Reply) answer {
	if r.deferIfReject.Code == 0 {
		r.deferIfReject = reply
	}
	return answer{}
}

// note tells the log about the request.
func (r *run) note(format string, args ...any) {
	if r.session.Note != nil {
		r.session.Note(r.stage, fmt.Sprintf(format, args...))
	}
}

// lookupFailure is the reply when one of our own tables fails.
func (r *run) lookupFailure(subject string, err error) answer {
	r.note("look-up of %q: %v", subject, err)
	return answer{outcome: refused, reply: Reply{451, "4.3.0", "<" + subject + ">: Temporary lookup failure"}}
}

// splitStatus takes an enhanced code from the front of a text and gives it the class of
// a reply code. Without one it is usual, without a text missing.
func splitStatus(code int, text, usual, missing string) (status, rest string) {
	status, rest = usual, strings.TrimSpace(text)
	if word, after, _ := strings.Cut(rest, " "); isStatus(word) {
		status, rest = word, strings.TrimSpace(after)
	}
	if rest == "" {
		rest = missing
	}
	return fmt.Sprint(code/100) + status[1:], rest
}

// isStatus reports whether s is an enhanced code (RFC 3463 section 2).
func isStatus(s string) bool {
	parts := strings.Split(s, ".")
	if len(parts) != 3 || len(parts[0]) != 1 || !strings.Contains("245", parts[0]) {
		return false
	}
	for _, part := range parts[1:] {
		if part == "" || len(part) > 3 || strings.Trim(part, "0123456789") != "" {
			return false
		}
	}
	return true
}
