package mailcore

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/panelmail/panelmail/internal/address"
	"github.com/panelmail/panelmail/mailcore/sites"
	"github.com/panelmail/panelmail/transport"
)

// Limits of the expansion of one forward-path. The first two are Postfix's
// virtual_alias_expansion_limit and virtual_alias_recursion_limit; the third
// bounds the work where many aliases lead to few recipients.
const (
	maxExpansion = 1000   // recipients
	maxDepth     = 1000   // addresses one behind the other
	maxLookups   = 10_000 // addresses looked at
)

// errExpansion is in the refusal of a forward-path whose aliases run in a circle
// or beyond a limit.
var errExpansion = errors.New("mailcore: alias expansion")

// expansionError refuses for now: whoever keeps the aliases can mend them.
func expansionError(format string, args ...any) error {
	return fmt.Errorf("%w: %w: %s", transport.Replyf(451, "4.6.0", "Alias expansion error"), errExpansion, fmt.Sprintf(format, args...))
}

// An expansion follows the aliases of one forward-path. It differs from Postfix's
// cleanup(8) in this:
//
//   - An address is looked up with its mailboxes (see [sites.Sites.Find]), so that
//     a catch-all takes what no mailbox has and needs no identity entries.
//   - A circle is refused where it closes, not after a thousand steps, and is
//     refused as one recipient, at RCPT, not as the whole message after DATA.
//   - Of the targets those in our domains that nobody has are left out with a
//     warning; if none is left the forward-path is refused. Postfix takes the
//     message and sends a bounce to whoever is named in MAIL.
//   - A target with an extension of its own gets no other hung on it.
//   - Where two ways lead to the same recipient, it gets one copy.
type expansion struct {
	desk     *desk
	settings *sites.Snapshot
	draft    *draft
	relay    bool   // the submitter may send to anybody
	to       string // the forward-path as it was given
	original address.Address

	// forwarder is the domain of the reverse-path of what leaves now: that of the
	// alias which is being followed; "": none is.
	forwarder string

	acceptance
	taken   map[address.Address]bool // folded: is among the recipients
	path    map[address.Address]bool // folded: its alias is being followed
	seen    map[address.Address]bool // folded: was looked at
	refusal error                    // of the first that was left out
}

// expand follows a, and adds the recipients that it leads to. An error ends the
// whole expansion.
func (x *expansion) expand(ctx context.Context, a address.Address) error {
	key := a.Fold()
	switch {
	case x.path[key]:
		return expansionError("%s leads back to itself", key)
	case x.seen[key]:
		return nil
	case len(x.path) >= maxDepth:
		return expansionError("%s: more than %d addresses one behind the other", x.to, maxDepth)
	case len(x.seen) >= maxLookups:
		return expansionError("%s: more than %d addresses", x.to, maxLookups)
	}
	x.seen[key] = true
	p := x.desk.placeOf(x.settings, key.Domain)
	if p == elsewhere {
		return x.take(ctx, a, nil)
	}
	if isRewritten(a.Local) {
		return x.reverse(ctx, a, p)
	}
	return x.lookUp(ctx, a, p)
}

// lookUp follows an address at a place of ours to what the tables have for it.
func (x *expansion) lookUp(ctx context.Context, a address.Address, p place) error {
	match, err := x.desk.sites.Find(ctx, a.String(), p == atHost)
	if err != nil {
		return lookupFailure(x.to, err)
	}
	if match.Targets == nil {
		return x.finish(ctx, a, p, match)
	}
	return x.follow(ctx, a, p, match)
}

// follow expands the targets of the alias that matched a. An alias that names a
// itself leaves a as it is, and is no circle however it is come to again.
func (x *expansion) follow(ctx context.Context, a address.Address, p place, match sites.Match) error {
	key := a.Fold()
	var targets []address.Address
	itself := false
	for _, text := range match.Targets {
		target, err := x.target(a, match, text)
		if err != nil {
			return err
		}
		if target.Fold() == key {
			itself = true
			continue
		}
		targets = append(targets, target)
	}
	if itself {
		if err := x.finish(ctx, a, p, match); err != nil {
			return err
		}
	} else {
		x.path[key] = true
		defer delete(x.path, key)
	}
	defer x.sendOnFrom(a, p)()
	for _, target := range targets {
		if err := x.expand(ctx, target); err != nil {
			return err
		}
	}
	return nil
}

// target is a target of the alias that matched a: @domain with the local-part of
// a, a name alone completed, and an extension that nothing matched carried over
// to a target without one.
func (x *expansion) target(a address.Address, match sites.Match, text string) (address.Address, error) {
	if domain, keep := strings.CutPrefix(text, "@"); keep {
		return address.Address{Local: a.Local, Domain: domain}, nil
	}
	if !strings.Contains(text, "@") {
		text += "@" + x.desk.config.Origin
	}
	t, err := address.Parse(text)
	if err != nil {
		return t, expansionError("a target of %s: %v", match.Key, err)
	}
	if match.Extension == "" {
		return t, nil
	}
	if base, _ := t.SplitExtension(delimiter); base == t {
		// As the sender wrote it, which the folded key is not.
		t.Local += a.Local[len(a.Local)-len(match.Extension)-len(delimiter):]
	}
	if len(t.Local) > address.MaxLocal {
		return t, expansionError("a target of %s is too long", match.Key)
	}
	return t, nil
}

// delimiter stands before the extension of a local-part.
const delimiter = "+"

// take adds a recipient, unless the transport map answers for it.
func (x *expansion) take(ctx context.Context, a address.Address, mailbox *sites.Mailbox) error {
	if refusal, err := x.answered(ctx, a, mailbox); refusal != nil || err != nil {
		if err == nil {
			x.leaveOut(a, refusal)
		}
		return err
	}
	key := a.Fold()
	switch {
	case x.taken[key]:
		return nil
	case len(x.taken) >= maxExpansion:
		return expansionError("%s: more than %d recipients", x.to, maxExpansion)
	}
	reversePath, err := x.reversePath(ctx, a)
	if err != nil {
		return err
	}
	x.taken[key] = true
	r := transport.Recipient{Address: a.String(), ReversePath: reversePath}
	if a != x.original {
		r.ORcpt = originalRecipient(x.original)
	}
	x.recipients = append(x.recipients, r)
	if mailbox != nil && mailbox.MaxSize > 0 && (x.maxSize == 0 || mailbox.MaxSize < x.maxSize) {
		x.maxSize = mailbox.MaxSize
	}
	return nil
}

// originalRecipient is an address as an ORCPT parameter (RFC 3461 section 4.2,
// RFC 6533 section 3).
func originalRecipient(a address.Address) string {
	if a.NeedsUTF8() {
		return "utf-8;" + a.String()
	}
	return "rfc822;" + a.String()
}

// leaveOut notes that a recipient is not taken, and why. It is a refusal of the
// whole if nobody is taken.
func (x *expansion) leaveOut(a address.Address, refusal error) {
	if a != x.original {
		x.desk.config.Log.Warn("an alias leads to an address that takes no mail", "alias", x.to, "address", a.String())
	}
	if x.refusal == nil {
		x.refusal = refusal
	}
}

// finish decides about an address of ours that no alias takes elsewhere.
func (x *expansion) finish(ctx context.Context, a address.Address, p place, match sites.Match) error {
	known, err := x.known(ctx, a, p, match)
	switch {
	case err != nil:
		return err
	case known:
		return x.take(ctx, a, match.Mailbox)
	case x.answersFor(p, a):
		return x.responsible(ctx, a, p)
	}
	x.leaveOut(a, x.unknownUser(p))
	return nil
}

func (x *expansion) unknownUser(p place) error {
	return transport.Replyf(550, "5.1.1", "<%s>: Recipient address rejected: User unknown in %s table", x.to, p.table())
}

// known reports whether somebody has an address at a place of ours: a mailbox, a
// place in the recipient list, or where there is no mailbox at all an entry of
// its own in the transport map.
func (x *expansion) known(ctx context.Context, a address.Address, p place, match sites.Match) (bool, error) {
	switch {
	case match.Mailbox != nil:
		return true, nil
	case p == aliased, match.Found():
		return false, nil
	case p == relayed:
		if d, _ := x.settings.Domain(a.Domain); !d.Listed {
			return true, nil
		}
		has, err := x.desk.sites.HasRecipient(ctx, a.String())
		if err != nil {
			return false, lookupFailure(x.to, err)
		}
		return has, nil
	}
	_, _, routed := x.settings.OwnRoute(a.String())
	return routed && !match.Mailboxes, nil
}
