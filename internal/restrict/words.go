package restrict

import (
	"context"
	"fmt"
	"strings"

	"github.com/panelmail/panelmail/internal/address"
)

// plain is a restriction without argument; nil if the word is not one.
func plain(word string) func(context.Context, *run) answer {
	switch word {
	case "permit":
		return func(context.Context, *run) answer { return answer{outcome: permitted} }
	case "permit_mynetworks":
		return permitIf(func(q Request) bool { return q.Trusted })
	case "permit_sasl_authenticated":
		return permitIf(func(q Request) bool { return q.Login != "" })
	case "reject":
		return decided(554, "5.7.1", "Access denied")
	case "defer":
		return decided(450, "4.3.2", "Try again later")
	case "defer_if_permit":
		return remembered((*run).deferLater, "defer_if_permit requested")
	case "defer_if_reject":
		return remembered((*run).deferInstead, "defer_if_reject requested")
	case "permit_auth_destination":
		return permitAuthDestination
	case "reject_unauth_destination":
		return unauthDestination(554, "5.7.1")
	case "defer_unauth_destination":
		return unauthDestination(454, "4.7.1")
	case "reject_unauth_pipelining":
		return rejectPipelining
	case "reject_sender_login_mismatch", "reject_unauthenticated_sender_login_mismatch":
		return rejectForeignSender
	case "reject_authenticated_sender_login_mismatch":
		return func(context.Context, *run) answer { return answer{} } // MAIL has said so already
	case "reject_non_fqdn_sender":
		return nonFQDN(theSender)
	case "reject_non_fqdn_recipient":
		return nonFQDN(theRecipient)
	case "reject_unknown_sender_domain":
		return unknownDomain(theSender, "4.1.8", Reply{550, "5.7.27", ""})
	case "reject_unknown_recipient_domain":
		return unknownDomain(theRecipient, "4.1.2", Reply{556, "5.1.10", ""})
	}
	return aboutClient(word)
}

func permitIf(yes func(Request) bool) func(context.Context, *run) answer {
	return func(_ context.Context, r *run) answer {
		if yes(r.request) {
			return answer{outcome: permitted}
		}
		return answer{}
	}
}

// decided refuses whatever its list is about.
func decided(code int, status, text string) func(context.Context, *run) answer {
	return func(ctx context.Context, r *run) answer {
		return r.refuse(ctx, r.stage.aspect(), code, status, text)
	}
}

func remembered(remember func(*run, Reply) answer, text string) func(context.Context, *run) answer {
	return func(ctx context.Context, r *run) answer {
		return remember(r, r.rejected(ctx, r.stage.aspect(), 450, "4.7.0", text))
	}
}

// domainOf is the domain of an address as it is looked up; "" if it has none.
func domainOf(path string) (a address.Address, domain string) {
	a, err := address.Parse(path)
	if err != nil {
		return a, ""
	}
	return a, a.Fold().Domain
}

// authDestination reports whether mail for the recipient is taken from anybody.
func (r *run) authDestination(ctx context.Context) (bool, error) {
	a, domain := domainOf(r.request.Recipient)
	if domain == "" || a.Routed() && !r.request.Rewritten {
		return false, nil
	}
	return r.session.Desk.Ours(ctx, domain)
}

func permitAuthDestination(ctx context.Context, r *run) answer {
	ours, err := r.authDestination(ctx)
	switch {
	case err != nil:
		return r.lookupFailure(r.request.Recipient, err)
	case ours:
		return answer{outcome: permitted}
	}
	return answer{}
}

func unauthDestination(code int, status string) func(context.Context, *run) answer {
	return func(ctx context.Context, r *run) answer {
		ours, err := r.authDestination(ctx)
		switch {
		case err != nil:
			return r.lookupFailure(r.request.Recipient, err)
		case ours:
			return answer{}
		}
		return answer{outcome: refused, reply: Reply{code, status, "<" + r.request.Recipient + ">: Relay access denied"}}
	}
}

func rejectPipelining(ctx context.Context, r *run) answer {
	if !r.request.Pipelined {
		return answer{}
	}
	return r.refuse(ctx, r.stage.aspect(), 503, "5.5.0", "Improper use of SMTP command pipelining")
}

// rejectForeignSender refuses a sender of ours from a client that nobody vouches for.
func rejectForeignSender(ctx context.Context, r *run) answer {
	_, domain := domainOf(r.request.Sender)
	if r.request.Login != "" || domain == "" {
		return answer{}
	}
	ours, err := r.session.Desk.Ours(ctx, domain)
	switch {
	case err != nil:
		return r.lookupFailure(r.request.Sender, err)
	case ours:
		return r.refuse(ctx, theSender, 553, "5.7.1", "not logged in")
	}
	return answer{}
}

// path is the address that an aspect is.
func (r *run) path(a aspect) string {
	if a == theSender {
		return r.request.Sender
	}
	return r.request.Recipient
}

func nonFQDN(a aspect) func(context.Context, *run) answer {
	return func(ctx context.Context, r *run) answer {
		path := r.path(a)
		_, domain := domainOf(path)
		if path == "" || strings.HasPrefix(domain, "[") || strings.Contains(domain, ".") {
			return answer{}
		}
		return r.refuse(ctx, a, 504, "5.5.2", "need fully-qualified address")
	}
}

// unknownDomain refuses addresses that no reply would reach. null is the reply for a
// domain that has no mail.
func unknownDomain(a aspect, status string, null Reply) func(context.Context, *run) answer {
	return func(ctx context.Context, r *run) answer {
		path := r.path(a)
		_, domain := domainOf(path)
		if domain == "" || strings.HasPrefix(domain, "[") {
			return answer{}
		}
		ours, err := r.session.Desk.Ours(ctx, domain)
		switch {
		case err != nil:
			return r.lookupFailure(path, err)
		case ours:
			return answer{}
		}
		switch r.mailDomain(ctx, domain) {
		case absent:
			return r.refuse(ctx, a, 450, status, "Domain not found")
		case nullMX:
			return r.refuse(ctx, a, null.Code, null.Status, fmt.Sprintf("Domain %s does not accept mail (nullMX)", domain))
		case inDoubt:
			return r.deferLater(r.rejected(ctx, a, 450, status, "Domain not found"))
		}
		return answer{}
	}
}
